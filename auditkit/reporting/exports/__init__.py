"""Exports of a run: pull-request comment, PDF, Hugging Face model card, and MLflow run."""
