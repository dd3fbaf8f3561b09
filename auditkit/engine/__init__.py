"""Inference with torch: scores, generated text, next-token logits and embeddings."""
