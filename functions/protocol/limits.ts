/**
 * Every bound of the wire in one place. Each names its unit and the failure it prevents; `test/hostile` trips each.
 * Both sides enforce them: a peer that breaks one is closed with `CLOSE.limit`.
 */
export const LIMITS = {
  /** Bytes of one WebSocket message. The platform refuses above 32 MiB; one frame of a slow peer must not starve the rest. */
  messageBytes: 1024 * 1024,
  /** Frames in one message; a message of empty frames would otherwise cost CPU for nothing. */
  messageFrames: 4096,
  /** Bytes of one JSON control message (hello with its instances is the largest). */
  controlBytes: 256 * 1024,
  /** Bytes of one DATA payload, so that a bulk upload interleaves with tokens. */
  dataBytes: 64 * 1024,
  /** Bytes of an OPEN or HEAD payload: method, path and headers. */
  headBytes: 32 * 1024,
  /** Headers of one request or reply. */
  headers: 64,
  /** Bytes in flight per stream and direction before the receiver grants more credit; bounds memory behind a slow reader. */
  windowBytes: 256 * 1024,
  /** Reply bytes an agent keeps behind what it sent, so that a re-attached client can be served from where it stands. */
  replayBytes: 512 * 1024,
  /** Reply bytes an agent may hold for one stream (replay plus unacknowledged) before it stops reading its engine. */
  retainBytes: 1024 * 1024,
  /** Reply bytes an agent may hold over all streams. */
  retainTotalBytes: 256 * 1024 * 1024,
  /** Open streams per agent socket. */
  streams: 1024,
  /** Instances one agent may run. */
  instances: 256,
  /** Request bytes the edge buffers so that a call can be sent again; larger bodies stream once. */
  bufferedBodyBytes: 8 * 1024 * 1024,
  /** Request bytes of any call. */
  bodyBytes: 100 * 1024 * 1024,
  /** Bytes of one server-sent event of a reply; an engine that never ends an event would otherwise fill memory. */
  eventBytes: 256 * 1024,
  /** Characters of the sealed secrets of a grant; with the spec they must fit in one control message. */
  sealedChars: 96 * 1024,
  /** Bytes of one packed code folder. */
  codeBytes: 16 * 1024 * 1024,
  /** Bytes of one log line; longer ones are cut. */
  logLineBytes: 8 * 1024,
  /** Log lines in one message. */
  logLines: 256,
  /** Milliseconds without any sign from an agent before its socket is not trusted with a new call. */
  silenceMs: 45_000,
  /** Milliseconds between an agent's keepalive pings; answered without waking the object. */
  pingMs: 15_000,
  /** Milliseconds an agent keeps a stream whose socket went, and the edge waits for it. Longer than the longest reconnect delay with streams open. */
  resumeMs: 10_000,
  /** Milliseconds between the bytes of a reply before the attempt is lost. */
  idleMs: 60_000,
  /** Milliseconds from dispatch to the first byte. */
  firstByteMs: 120_000,
  /** Milliseconds a call may take from open to end; the Account inquires after it. */
  callMs: 600_000,
  /** Milliseconds a signed challenge or login is good for. */
  challengeMs: 30_000,
  /** Milliseconds between two checkpoints of one stream that carries data. */
  checkpointMs: 250,
  /** Milliseconds a session key lives. */
  sessionMs: 24 * 3_600_000,
} as const;
