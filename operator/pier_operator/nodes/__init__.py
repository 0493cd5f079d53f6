"""The agent on a node: it writes the CAs of registries to where container runtimes look for them, and tries them."""
