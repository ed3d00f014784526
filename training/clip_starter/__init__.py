"""Makes the encoder of pictures and texts `starter-clip`, from captions to figures."""
