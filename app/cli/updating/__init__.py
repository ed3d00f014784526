"""``sllm update``: the newest version of the code, or everything as it was.

After the pull the modules of ``app`` on the disk are the new version's. The process that updates
has imported all that it needs before; the new version only runs in processes of its own.
"""
