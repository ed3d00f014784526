"""Slows one side of the tests, so that a race which a busy machine may lose is lost here.

``--slowed=app`` lets code of the server pause at random functions, in the threads of the test
process and in the processes that it starts; ``--slowed=tests`` lets each test pause at its lines.
At most two variants of each test run; ``--slowed-seed`` chooses them, and the functions.
"""
