"""What engines share of turning texts, pairs of texts and images into vectors or scores."""
