import time
from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def setup(self):
        print("loading weights")

    def predict(self, text: str = Input(description="said back louder"), wait: float = 0, mark: str = "") -> str:
        if mark:
            open(mark, "w").close()
        end = time.time() + wait
        while time.time() < end:
            time.sleep(0.05)
        return text.upper()
