internal import TunnelCore

extension TokenExchange {
    /// Exchanges the identity token, which is read anew for every attempt.
    ///
    /// An exchange changes nothing that a second one could spoil, so it is sent again as any other request that may be.
    ///
    /// - Parameter operation: what the token is for, for the error.
    func accessToken(for operation: String, _ delivery: Delivery) async throws(APIError) -> AccessToken {
        var assertion = Secret("")
        let outcome = try await delivery.send(.always) { (timeout) throws(APIError) in
            do throws(IdentityToken.Failure) { assertion = try IdentityToken.read(identity.identityToken) } catch {
                throw APIError(.identityToken, operation, .identityToken, error.reason, remedy: Remedy.assertion)
            }
            return request(assertion, timeout: timeout)
        }
        switch outcome.last {
        case .failure(let error): throw .transport(error, .exchange, operation, service, Redaction([assertion]))
        case .answer(let response):
            return try accessToken(response, assertion: assertion, for: operation, busyFor: outcome.busyFor)
        }
    }
}
