"""A server with what the conformance suite of the protocol looks for, by the names it uses.

What each of them has to do is in the descriptions of the suite's scenarios
(https://github.com/modelcontextprotocol/conformance).
"""
