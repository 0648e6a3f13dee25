internal import TunnelCore

extension TunnelsClient {
    /// Carries out one call and reads its response.
    func perform<Value: Sendable>(
        _ call: APICall, _ delivery: Delivery, _ read: ([UInt8]) throws(APIResponse.Failure) -> Value
    ) async throws(APIError) -> Value {
        var isAmbiguous = false
        var isRenewed = false
        while true {
            let access: Access
            do throws(APIError) { access = try await self.access(for: call.operation, delivery) } catch {
                var error = error
                error.mayHaveBeenActedOn = isAmbiguous && call.changes
                throw error
            }
            let outcome = try await delivery.send(call.repetition) { timeout in
                request(call, access, timeout: min(timeout, Self.requestTimeout))
            }
            isAmbiguous = isAmbiguous || outcome.isAmbiguous
            if case .response(let response) = outcome.last, response.status == 401, access.isExchanged, !isRenewed {
                // A refused token means that nothing was done: this once, even a creation is sent again.
                discard(access)
                isRenewed = true
                continue
            }
            return try value(outcome, isAmbiguous: isAmbiguous, to: call, access, read)
        }
    }

    private func request(_ call: APICall, _ access: Access, timeout: Duration) -> HTTPRequest {
        let beta = access.generation.betaFlag + (access.isExchanged ? ",\(TokenExchange.betaFlag)" : "")
        var fields = [
            HTTPField("Accept", "application/json"), HTTPField("User-Agent", userAgent),
            HTTPField("anthropic-version", "2023-06-01"), HTTPField("anthropic-beta", beta),
        ]
        if call.body != nil { fields.append(HTTPField("Content-Type", "application/json")) }
        return HTTPRequest(
            call.method, service, access.generation.basePath + call.path + call.query, fields: fields,
            bearerToken: access.token, body: call.body ?? (call.method == "GET" ? nil : []), timeout: timeout,
            maxResponseBytes: Self.maxResponseBytes)
    }

    private func value<Value>(
        _ outcome: Delivery.Outcome, isAmbiguous: Bool, to call: APICall, _ access: Access,
        _ read: ([UInt8]) throws(APIResponse.Failure) -> Value
    ) throws(APIError) -> Value {
        let redaction = Redaction([access.token])
        let isOpen = isAmbiguous && call.changes
        switch outcome.last {
        case .failure(let error):
            throw .transport(
                error, .api, call.operation, service, redaction, mayHaveBeenActedOn: isOpen,
                remedy: isOpen ? call.ambiguityRemedy : nil)
        case .response(let response) where response.status / 100 == 2:
            do throws(APIResponse.Failure) { return try read(response.body) } catch {
                throw APIError(
                    .api, call.operation, .malformedResponse, status: response.status, error.reason,
                    requestID: ServerMessage(response, redaction).requestID,
                    remedy: (call.changes ? call.ambiguityRemedy : nil) ?? Remedy.wrongServer(service),
                    mayHaveBeenActedOn: call.changes)
            }
        case .response(let response):
            let said = ServerMessage(response, redaction)
            let status = response.status
            let remedy =
                (isOpen ? call.ambiguityRemedy : nil) ?? outcome.busyFor.map(Remedy.busy)
                ?? Remedy.response(
                    status, said.message, to: call, generation: access.generation, isExchanged: access.isExchanged,
                    service)
            throw APIError(
                .api, call.operation, APIError.Code(status: status), status: status, type: said.type, said.message,
                requestID: said.requestID, remedy: remedy, mayHaveBeenActedOn: isOpen)
        }
    }
}

/// Lists come in pages, each with the cursor of the next.
extension TunnelsClient {
    /// Items for one page. The first generation names no maximum, so this stays well below the second's 1000.
    static let pageSize = 100
    static let maxPages = 100
    static let maxItems = 10_000
    /// Longer than any cursor that has been seen by far, and short enough for a request line.
    static let maxCursorBytes = 2048

    func all<Item: Sendable>(
        _ call: APICall, _ query: [(String, String)], includeArchived: Bool, _ delivery: Delivery,
        _ read: ([UInt8]) throws(APIResponse.Failure) -> APIPage<Item>
    ) async throws(APIError) -> [Item] {
        var query = query + [("limit", "\(Self.pageSize)")]
        if includeArchived { query.append(("include_archived", "true")) }
        var items: [Item] = []
        var cursors: Set<String> = []
        var call = call
        call.query = Self.query(query)
        for _ in 0..<Self.maxPages {
            let page = try await perform(call, delivery, read)
            items += page.items
            guard items.count <= Self.maxItems else { throw endless("has more than \(Self.maxItems) entries", call) }
            guard let next = page.next else { return items }
            guard next.utf8.count <= Self.maxCursorBytes else {
                throw endless("has a cursor of more than \(Self.maxCursorBytes) bytes", call)
            }
            guard cursors.insert(next).inserted else { throw endless("comes to the same page again", call) }
            call.query = Self.query(query + [("page", next)])
        }
        throw endless("has more than \(Self.maxPages) pages", call)
    }

    private func endless(_ what: String, _ call: APICall) -> APIError {
        APIError(
            .api, call.operation, .malformedResponse, "the list \(what)", remedy: Remedy.wrongServer(service))
    }

    static func query(_ items: [(String, String)]) -> String {
        "?" + items.map { "\($0.0)=\(PercentEncoding.encode($0.1))" }.joined(separator: "&")
    }
}
