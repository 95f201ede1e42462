"""LitServe: `python -m tests.bench.peers.litserve_app PORT`."""

import sys
from typing import Any

import litserve

from edged.baselines.scorer import Scorer
from tests.bench import MODEL


class Sentiment(litserve.LitAPI):  # type: ignore[misc]
    """One review a request."""

    def setup(self, device: str) -> None:
        """Load the model."""
        del device
        self.score = Scorer(MODEL)

    def decode_request(self, request: dict[str, Any]) -> str:
        """The text of a request."""
        return str(request["text"])

    def predict(self, x: str) -> Any:
        """Score it."""
        return self.score([x])[0]

    def encode_response(self, output: Any) -> dict[str, Any]:
        """The reply."""
        return {"label": output.label, "score": output.score}


if __name__ == "__main__":
    server = litserve.LitServer(Sentiment(), accelerator="cpu")
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="warning")
