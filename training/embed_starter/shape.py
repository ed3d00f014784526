"""What every part must know of the network."""

CONTEXT = 512  # tokens
SIZES = (64, 128, 192)  # numbers of a vector that are a good vector by themselves
PAD, CLS, SEP = "[PAD]", "[CLS]", "[SEP]"
SPECIAL_TOKENS = (PAD, CLS, SEP)
