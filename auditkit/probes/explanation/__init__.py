"""Probes of explanations: causes of recommendations, and faithfulness of stated reasons."""
