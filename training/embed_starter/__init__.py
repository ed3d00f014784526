"""Makes the text encoder `starter-embed`: texts, tokenizer, training, export, measurement."""
