/** What `ripcord init` writes. It deploys as it is. */

export const SERVER_FILE = 'server.mjs';

export const SERVER_PROGRAM = `import { createServer } from 'node:http';

const server = createServer((request, response) => {
  if (request.url === '/health') return response.end('ok');
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ hello: process.env.GREETING ?? 'world', path: request.url }));
});
server.listen(Number(process.env.PORT), '127.0.0.1');
`;

/** A chute.toml with every field, those that are not needed as comments with their defaults. */
export function chuteToml(name: string): string {
  return `# A chute: what runs, what it needs, how it is called. Every field: docs/chute-toml.md
name = "${name}"
tagline = "Says hello"            # one line for lists
# public = false                  # true: any account may call it
# template = "http"               # "openai": /v1/chat/completions and the like, tokens are counted

# The program, run inside the code folder. It listens on 127.0.0.1, port {port} (also in $PORT).
# Instead of it, an image with the port it listens on: image = "ghcr.io/you/app@sha256:…", port = 8000
command = ["node", "${SERVER_FILE}"]
code = "."                        # the folder to pack, relative to this file; .ripcordignore (else .gitignore) says what to leave out

# health = "/health"              # a GET of it answers 200 once the program can serve
# start_timeout = 300             # seconds a start may take without progress
# timeout = 300                   # seconds one call may take
# concurrency = 1                 # calls one instance serves at a time

min = 1                           # instances kept without calls; 0 stops all when nobody calls
max = 1                           # instances at most

# Routes. Without any, every method and path is passed on. \`retry = "safe"\`: may be sent again while no reply came.
# [[cords]]
# path = "/"
# method = "GET"                  # "POST" without it
# retry = "safe"                  # "never" without it

# A GPU for each instance. Without this table a CPU is enough.
# [gpu]
# count = 1
# min_vram_gb = 16
# include = []                    # names of GPUs, only these
# exclude = []

[env]
GREETING = "world"

# What callers pay, in nano-USD (0.000000001 USD). Without this table a deploy leaves the price as it is; a new chute is free.
# [price]
# input_per_million = 150000000   # tokens of the prompt: 0.15 USD a million
# cached_per_million = 75000000   # those the engine had in its cache
# output_per_million = 600000000  # tokens of the answer
# per_second = 0                  # of a call
# per_request = 0
# per_image = 0                   # "n" and "steps" of the request
# per_step = 0
# per_instance_second = 0         # private chutes: the owner pays for live instances, calls are free
`;
}
