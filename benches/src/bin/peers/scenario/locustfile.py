"""The flow of dynamic.yaml, as Locust writes it."""

import random
import resource
import sys

from locust import FastHttpUser, events, task


@events.test_start.add_listener
def tell_start_up(**_):
    """CPU seconds, user and system, that this process took before its first request."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"start-up: {used.ru_utime} {used.ru_stime}", file=sys.stderr)


class Visitor(FastHttpUser):
    token = None

    @task
    def visit(self):
        path = f"/items/{random.randint(1, 10000)}?page={random.randint(1, 100)}"
        with self.client.get(path, name="GET /items/{id}", catch_response=True) as answer:
            item = answer.json()
            if item["stock"] < 1:
                answer.failure("out of stock")
            self.token = item["token"]
