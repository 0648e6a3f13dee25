import TunnelAPI

extension FakeCall {
    /// What becomes of the request under a fault.
    ///
    /// - Parameter real: the response without the fault, where the request took effect.
    func answer(_ fault: FakeFault, _ real: HTTPResponse?) -> FakeAnswer {
        let plain = real ?? response(200, ["type": "fault"])
        switch fault.kind {
        case .refuse: return .refuse
        case .dropBefore, .dropAfter: return .drop
        case .stall: return .stall
        case .dropMidBody: return .truncated(plain, bodyBytes: plain.body.count / 2)
        case .malformedJSON:
            return .response(
                HTTPResponse(
                    status: plain.status, fields: plain.fields, body: Array(plain.body.prefix(plain.body.count / 2))))
        case .oversizedBody:
            let size = min(max(fault.bytes, plain.body.count), FakeFault.maxBodyBytes)
            let padding = [UInt8](repeating: 0x20, count: max(0, size - plain.body.count))
            return .response(HTTPResponse(status: plain.status, fields: plain.fields, body: plain.body + padding))
        case .html:
            let status = fault.status ?? 502
            let page = "<!DOCTYPE html>\n<html><head><title>\(status)</title></head><body>Bad gateway</body></html>\n"
            return .response(
                HTTPResponse(
                    status: status, fields: fields(type: "text/html; charset=UTF-8") + extraFields(fault),
                    body: Array(page.utf8)))
        case .answer:
            let error = FakeError(fault.status ?? 500, type: fault.type, fault.message ?? "A fault that was asked for")
            return .response(with(fault, response(error)))
        case .echo:
            let secrets = request.values("authorization") + [String(decoding: request.body, as: UTF8.self)]
            let message = "Cannot process " + secrets.joined(separator: " ")
            return .response(with(fault, response(FakeError(fault.status ?? 400, type: fault.type, message))))
        }
    }

    private func with(_ fault: FakeFault, _ response: HTTPResponse) -> HTTPResponse {
        var response = response
        response.fields += extraFields(fault)
        return response
    }

    private func extraFields(_ fault: FakeFault) -> [HTTPField] {
        var fields: [HTTPField] = []
        if let value = fault.retryAfter { fields.append(HTTPField("retry-after", value)) }
        if let value = fault.retryAfterMilliseconds { fields.append(HTTPField("retry-after-ms", value)) }
        if let value = fault.shouldRetry { fields.append(HTTPField("x-should-retry", value ? "true" : "false")) }
        return fields
    }
}
