"""The local stack: what `stepwell dev` runs on a laptop, with no cluster and no Docker.

`postgres` drives an embedded PostgreSQL as a supervised child, `supervisor` keeps a handful of children alive, `stack`
says which children those are. Nothing here is used in a cluster, where Kubernetes supervises and Postgres is somebody's
service. Whatever was killed, frozen or left behind, the next start on the same data directory comes back by itself.
"""
