"""A run for other tools: a model card of the Hugging Face Hub, and an experiment of MLflow."""
