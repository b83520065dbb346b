import runpod


def handler(job):
    yield from job["input"]["words"].split()


runpod.serverless.start({"handler": handler})
