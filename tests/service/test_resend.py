"""What is sent again, how often, and what never is."""

import pytest

from tests.support.clocks import StillClock
from tests.support.scripted import ScriptedServer, envelope, reply
from tests.support.wire import open_service


@pytest.mark.faults("TR-04")
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_get_outlives_two_gateway_errors(status: int) -> None:
    clock = StillClock()
    answer = reply(json=envelope({"status": "processing", "progress": 7}))
    with (
        ScriptedServer(reply(status), reply(status, b"busy"), answer) as server,
        open_service(server, clock) as service,
    ):
        assert service.status("u1").progress == 7
    assert [request.target for request in server.requests] == ["/api/v2/parse/status?uid=u1"] * 3
    assert clock.sleeps == [0.5, 1.0]
