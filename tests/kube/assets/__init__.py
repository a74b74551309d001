"""The binaries of a real control plane: where they come from and how they are kept.

`python -m kube.assets` (or the first kube test) makes sure that etcd, kube-apiserver, kubectl and
kube-controller-manager are on this machine and says for each which source it took, in this order:

1. `KUBEBUILDER_ASSETS`, envtest's convention;
2. the cache, `${XDG_CACHE_HOME:-~/.cache}/stepwell/kube/<version>`;
3. the official release download, given up within seconds where it cannot be reached;
4. a build through the Go module proxy from the go.mod files beside this module, about five minutes once a machine.

What 3 and 4 bring lands in the cache by rename, under a lock: two test runs that start together build once, and a
build that was killed leaves nothing that looks finished. When no source works, `AssetsUnavailable` says what was tried
and why each failed; nothing here skips.
"""
