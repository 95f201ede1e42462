"""MLServer: the implementation that model-settings.json names."""

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from edged.baselines.scorer import Scorer
from tests.bench import MODEL


class Sentiment(MLModel):  # type: ignore[misc]
    """One input of texts, one output of labels."""

    async def load(self) -> bool:
        """Load the model."""
        self.score = Scorer(MODEL)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score the texts of the first input."""
        texts = StringCodec.decode_input(payload.inputs[0])
        labels = [f"{prediction.label} {prediction.score:.4f}" for prediction in self.score(texts)]
        return InferenceResponse(
            model_name=self.name, outputs=[StringCodec.encode_output("sentiment", labels)]
        )
