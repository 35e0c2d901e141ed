import os

import spaces
import duckdb

DATABASE = duckdb.connect()
DATABASE.execute("create table numbers as select range as n from range(8000000)")


def compute():
    return DATABASE.execute("select sum(n), sum(sqrt(n))::bigint, count(distinct n % 1000) from numbers").fetchall()


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
