"""``sllm mcp``: the protocol over stdin and stdout, for hosts that start their servers themselves.

Lines go to ``/mcp`` of the running server, or of one that is started. What comes first is answered
here, with the standard library alone: hosts drop a server that is silent for half a second
(github/copilot-cli#4525), and importing the official SDK takes longer than that.
"""
