"""Makes the starter model: corpus, tokenizer, training, export, measurement."""
