"""Python peers of the end-to-end tests: the far side of the tunnel, upstreams, and the proxy's process.

Nothing here shares code with the proxy, so that both being wrong in the same way is unlikely.
"""
