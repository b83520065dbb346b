import asyncio
import runpod


async def handler(job):
    ask = job["input"]
    if "raise" in ask:
        raise ValueError(ask["raise"])
    if "progress" in ask:
        runpod.serverless.progress_update(job, ask["progress"])
    if "sleep" in ask:
        print("sleeps")
        try:
            await asyncio.sleep(ask["sleep"])
        except asyncio.CancelledError:
            print("cancelled in its sleep")
            raise
    return {"echo": ask.get("echo")}


runpod.serverless.start({"handler": handler, "concurrency_modifier": lambda _now: 2})
