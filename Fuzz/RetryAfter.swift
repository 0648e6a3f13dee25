internal import TunnelAPI
internal import TunnelCore

/// Reads the input as what a server says about when to come again. The wait is neither negative nor beyond all bounds.
func checkRetryAfter(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    for name in ["retry-after", "retry-after-ms"] {
        let response = HTTPResponse(status: 429, fields: [HTTPField(name, text)])
        for now in [UnixTime(seconds: .min), UnixTime(seconds: 1_800_000_000), UnixTime(seconds: .max)] {
            guard let wait = RetryPolicy.requestedWait(response, now: now) else { continue }
            precondition(wait >= .zero && wait <= .seconds(Int64.max), "a wait without bounds")
        }
    }
}
