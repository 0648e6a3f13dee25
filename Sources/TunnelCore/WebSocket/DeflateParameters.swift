/// The four parameters of permessage-deflate (RFC 7692 §7.1): what one side wants, or what both agreed on.
public struct DeflateParameters: Equatable, Sendable {
    /// The server forgets its window after each message, so that the client need not keep 32 KiB for it.
    public var serverNoContextTakeover: Bool
    /// The client forgets its window after each message.
    public var clientNoContextTakeover: Bool
    /// Base-2 logarithm of the window the server compresses with, 8...15.
    public var serverMaxWindowBits: Int
    /// Base-2 logarithm of the window the client compresses with, 8...15.
    public var clientMaxWindowBits: Int

    /// The defaults are those of a bare `permessage-deflate`.
    public init(
        serverNoContextTakeover: Bool = false, clientNoContextTakeover: Bool = false,
        serverMaxWindowBits: Int = 15, clientMaxWindowBits: Int = 15
    ) {
        precondition(
            Self.windowBits.contains(serverMaxWindowBits) && Self.windowBits.contains(clientMaxWindowBits),
            "window bits are 8...15")
        self.serverNoContextTakeover = serverNoContextTakeover
        self.clientNoContextTakeover = clientNoContextTakeover
        self.serverMaxWindowBits = serverMaxWindowBits
        self.clientMaxWindowBits = clientMaxWindowBits
    }

    static let windowBits = 8...15
    static let extensionName = "permessage-deflate"
}

// The negotiation, RFC 7692 §5 and §7.1. `self` is always what our side wants; the result is what both agreed on.
extension DeflateParameters {
    /// The value of the client's `Sec-WebSocket-Extensions` field.
    ///
    /// `client_max_window_bits` is always in it, because a server may ask for a smaller window only then (§7.1.2.2).
    public func offer() -> String {
        var text = Self.extensionName
        if serverNoContextTakeover { text += "; server_no_context_takeover" }
        if clientNoContextTakeover { text += "; client_no_context_takeover" }
        if serverMaxWindowBits < 15 { text += "; server_max_window_bits=\(serverMaxWindowBits)" }
        text += "; client_max_window_bits"
        if clientMaxWindowBits < 15 { text += "=\(clientMaxWindowBits)" }
        return text
    }

    /// The server's choice: the first offer that it can meet.
    ///
    /// - Parameter offers: the client's extensions in its order of preference; others than permessage-deflate are
    ///   skipped, and so are offers with an unknown, repeated or ill-valued parameter (§7.1).
    /// - Returns: what was agreed and the value of the response's `Sec-WebSocket-Extensions` field, or `nil` when the
    ///   connection goes without compression.
    public func choose(from offers: [WebSocketExtension]) -> (agreed: DeflateParameters, response: String)? {
        for offer in offers where offer.name == Self.extensionName {
            guard let offered = DeflateRequest(offer, valuesRequired: false) else { continue }
            // Without the client's word it may use 32 KiB; if we insist on less, this offer cannot be met (§7.1.2.2).
            if clientMaxWindowBits < 15, !offered.hasClientMaxWindowBits { continue }
            let agreed = DeflateParameters(
                serverNoContextTakeover: serverNoContextTakeover || offered.serverNoContextTakeover,
                clientNoContextTakeover: clientNoContextTakeover || offered.clientNoContextTakeover,
                serverMaxWindowBits: min(serverMaxWindowBits, offered.serverMaxWindowBits ?? 15),
                clientMaxWindowBits: min(clientMaxWindowBits, offered.clientMaxWindowBits ?? 15))
            return (agreed, agreed.response(to: offered))
        }
        return nil
    }

    /// The client's check of the server's response to `offer()`.
    ///
    /// - Parameter response: the extensions of the server's response.
    /// - Returns: what was agreed, or `nil` when the server declined.
    /// - Throws: 1010 for an extension that was not offered, or a response that does not follow the offer (§7.1): the
    ///   connection is to be failed.
    public func accept(_ response: [WebSocketExtension]) throws(WebSocketError) -> DeflateParameters? {
        guard let first = response.first else { return nil }
        guard response.count == 1, first.name == Self.extensionName else {
            throw Self.refused("an extension was not offered")
        }
        guard let accepted = DeflateRequest(first, valuesRequired: true) else {
            throw Self.refused("bad permessage-deflate parameters")
        }
        guard accepted.serverNoContextTakeover || !serverNoContextTakeover else {
            throw Self.refused("server_no_context_takeover was asked for and not granted")
        }
        let serverBits = accepted.serverMaxWindowBits ?? 15
        guard serverBits <= serverMaxWindowBits else { throw Self.refused("server_max_window_bits above the offer") }
        let clientBits = accepted.clientMaxWindowBits ?? clientMaxWindowBits
        guard clientBits <= clientMaxWindowBits else { throw Self.refused("client_max_window_bits above the offer") }
        return DeflateParameters(
            serverNoContextTakeover: accepted.serverNoContextTakeover,
            // Our own hint binds us even when the server does not repeat it (§7.1.1.2).
            clientNoContextTakeover: clientNoContextTakeover || accepted.clientNoContextTakeover,
            serverMaxWindowBits: serverBits, clientMaxWindowBits: clientBits)
    }

    private static func refused(_ reason: String) -> WebSocketError {
        WebSocketError(code: .mandatoryExtension, reason: "\(reason) (RFC 7692 §7.1)")
    }

    private func response(to offer: DeflateRequest) -> String {
        var text = Self.extensionName
        if serverNoContextTakeover { text += "; server_no_context_takeover" }
        if clientNoContextTakeover { text += "; client_no_context_takeover" }
        // An offer with a server window is met only by a response that names one (§7.1.2.1).
        if serverMaxWindowBits < 15 || offer.serverMaxWindowBits != nil {
            text += "; server_max_window_bits=\(serverMaxWindowBits)"
        }
        // Allowed only in response to the same parameter (§7.1.2.2).
        if clientMaxWindowBits < 15, offer.hasClientMaxWindowBits {
            text += "; client_max_window_bits=\(clientMaxWindowBits)"
        }
        return text
    }
}

/// The parameters of one element as they were written, each at most once.
private struct DeflateRequest {
    var serverNoContextTakeover = false
    var clientNoContextTakeover = false
    var serverMaxWindowBits: Int?
    var clientMaxWindowBits: Int?
    var hasClientMaxWindowBits = false

    /// `nil` for an unknown or repeated parameter or a value it cannot have (§7.1).
    ///
    /// - Parameter valuesRequired: a response's `client_max_window_bits` needs a value, an offer's does not (§7.1.2.2).
    init?(_ element: WebSocketExtension, valuesRequired: Bool) {
        var seen: Set<String> = []
        for parameter in element.parameters {
            guard seen.insert(parameter.name).inserted else { return nil }
            switch (parameter.name, parameter.value) {
            case ("server_no_context_takeover", nil): serverNoContextTakeover = true
            case ("client_no_context_takeover", nil): clientNoContextTakeover = true
            case ("server_max_window_bits", let value?):
                guard let bits = Self.bits(value) else { return nil }
                serverMaxWindowBits = bits
            case ("client_max_window_bits", let value?):
                guard let bits = Self.bits(value) else { return nil }
                (clientMaxWindowBits, hasClientMaxWindowBits) = (bits, true)
            case ("client_max_window_bits", nil) where !valuesRequired: hasClientMaxWindowBits = true
            default: return nil
            }
        }
    }

    /// "8" to "15" without a leading zero or sign (§7.1.2).
    private static func bits(_ text: String) -> Int? {
        DeflateParameters.windowBits.first { String($0) == text }
    }
}
