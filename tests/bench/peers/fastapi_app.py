"""FastAPI: `uvicorn tests.bench.peers.fastapi_app:app --workers N`."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from edged.baselines.scorer import Scorer
from tests.bench import MODEL

app = FastAPI()
score = Scorer(MODEL)


class Review(BaseModel):  # type: ignore[misc]
    """A request."""

    text: str


@app.post("/predict")  # type: ignore[untyped-decorator]
async def predict(review: Review) -> dict[str, Any]:
    """Score a review, on the event loop: one interpreter is for one thread at a time."""
    (prediction,) = score([review.text])
    return {"label": prediction.label, "score": prediction.score}
