"""Taking pictures in: from base64 or a URL, checked and decoded in a process of their own.

Nothing here imports a decoder but ``decode``, which only that process does (``__main__``).
"""
