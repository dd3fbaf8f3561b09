"""Privacy: what is claimed about the training data, and what attacks find out about them."""
