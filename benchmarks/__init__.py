"""Throughput, latency and CPU of Stepwell beside other systems: one command, one table.

    make bench                 Stepwell alone
    make bench PEERS=1         beside Restate and DBOS, which are installed into a cache folder outside of .venv

Everything is a real process: Postgres with its durable defaults, the engine, the app, the peers. All systems run the same
work (runs of five steps, each giving {"ok": i}) on the same machine one after another, and a result counts only once it is
durable. Compare figures of one run with each other; absolute ones drift with the machine.
"""
