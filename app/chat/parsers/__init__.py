"""Tells tool calls and channels from the text of an answer, one state machine per spelling.

``choose`` finds the parser of a format, ``events`` runs it on the events of an answer. A parser
works on text, whatever the pieces it comes in, and never fails: what does not parse is text.
"""
