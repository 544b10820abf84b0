"""The rehearsal: a real cluster of one node on this machine, and Tocsin in it.

It needs root on Linux, Go, gcc, buildah, skopeo, containerd, runc, the CNI plugins, iptables and
kubectl. All that it starts lives in namespaces of its own (network, mounts, processes), so that it
ends with the command, whatever happens, and leaves no rule, route, mount or process behind.
"""
