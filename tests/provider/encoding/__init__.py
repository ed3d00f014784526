"""An engine that encodes: its models are files ``*.encoder``, whatever they hold."""
