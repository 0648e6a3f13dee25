import Testing
import TunnelAPI

@testable import TunnelSetup

@Suite struct KubernetesSecretStoreTests {
    static let first: [StoreKey: String?] = [.tunnelID: "t-1", .serverKey: "key 1", .setupState: "state"]
    static let second: [StoreKey: String?] = [.serverKey: "key 2", .serverCertificate: "certificate", .setupState: nil]
    static let after = ["tunnel-id": "t-1", "tls.key": "key 2", "tls.crt": "certificate"]

    @Test func theSecretIsMadeAndThenPatched() async throws {
        let fake = FakeSecret()
        let store = try fake.store()
        #expect(store.location == "k8s-secret:mcp-tunnel" && !store.isExclusive)
        let empty = try await store.load()
        #expect(empty.isEmpty)
        let made = try await store.write(StoreChanges(Self.first), over: empty)
        #expect(made.texts == Self.first.compactMapValues { $0 })
        #expect(fake.labels == ["app.kubernetes.io/managed-by": "mcp-tunnel-setup"])
        let changed = try await store.write(StoreChanges(Self.second), over: made)
        #expect(fake.values == Self.after)
        #expect(try await store.load().texts == changed.texts)
        #expect(fake.methods == ["GET", "POST", "PATCH", "GET"])
    }

    @Test func whatBelongsToOthersStays() async throws {
        let fake = FakeSecret()
        fake.change {
            $0.set("theirs", "value")
            $0.labels = ["their": "label"]
        }
        let store = try fake.store()
        let contents = try await store.load()
        #expect(contents.isEmpty)
        _ = try await store.write(StoreChanges(Self.first), over: contents)
        #expect(fake.values?["theirs"] == "value" && fake.values?["tunnel-id"] == "t-1")
        #expect(fake.labels == ["their": "label"] && fake.methods == ["GET", "PATCH"])
    }

    /// Somebody changes another key of the Secret, or makes it, between our reading and our writing.
    @Test(arguments: [true, false]) func aChangeOfOtherKeysIsNoConflict(_ isThere: Bool) async throws {
        let fake = FakeSecret { number, method, secret in
            // Also between the second reading and the second writing.
            if method != "GET", number < 6 { secret.set("theirs", "\(number)") }
            return .none
        }
        if isThere { fake.change { $0.set("tunnel-id", "t-1") } }
        let store = try fake.store()
        let contents = try await store.load()
        let written = try await store.write(StoreChanges([.serverKey: "key"]), over: contents)
        #expect(written[.serverKey] == Array("key".utf8))
        #expect(fake.values?["tls.key"] == "key" && fake.values?["theirs"] == "4")
        #expect(fake.methods == ["GET", isThere ? "PATCH" : "POST", "GET", "PATCH", "GET", "PATCH"])
    }

    @Test(arguments: [true, false]) func aChangeOfOurKeysIsAConflict(_ isThere: Bool) async throws {
        let fake = FakeSecret { number, method, secret in
            if method != "GET" { secret.set("tunnel-token", "theirs") }
            return .none
        }
        if isThere { fake.change { $0.set("tunnel-id", "t-1") } }
        let store = try fake.store()
        let contents = try await store.load()
        let error = await #expect(throws: StoreError.self) {
            try await store.write(StoreChanges([.serverKey: "key"]), over: contents)
        }
        #expect(
            error?.code == .conflict && error?.reason.contains("somebody has changed tunnel-token meanwhile") == true)
        #expect(fake.values?["tls.key"] == nil && fake.values?["tunnel-token"] == "theirs")
    }

    @Test func aSecretThatIsRemovedMeanwhileIsAConflict() async throws {
        let fake = FakeSecret { _, method, secret in
            if method == "PATCH" { secret.data = nil }
            return .none
        }
        fake.change { $0.set("tunnel-id", "t-1") }
        let store = try fake.store()
        let contents = try await store.load()
        await #expect(throws: StoreError(.conflict, "", remedy: "")) {
            try await store.write(StoreChanges([.serverKey: "key"]), over: contents)
        }
        #expect(fake.values == nil)
    }

    @Test func aSecretThatOthersRemoveIsMadeAnewIfNothingOfOursWasInIt() async throws {
        let fake = FakeSecret { _, method, secret in
            if method == "PATCH" { secret.data = nil }
            return .none
        }
        fake.change { $0.set("theirs", "value") }
        let store = try fake.store()
        _ = try await store.write(StoreChanges([.serverKey: "key"]), over: store.load())
        #expect(fake.values == ["tls.key": "key"] && fake.methods == ["GET", "PATCH", "GET", "POST"])
    }

    /// Nobody knows whether it was done; the Secret tells.
    @Test(arguments: [true, false], [true, false]) func aLostAnswerIsFoundOut(
        _ isThere: Bool, _ isDone: Bool
    ) async throws {
        let fake = FakeSecret { number, method, _ in
            guard number == 2 else { return .none }
            return isDone ? .lostAfter : .lostBefore
        }
        if isThere { fake.change { $0.set("tunnel-id", "t-1") } }
        let store = try fake.store()
        let contents = try await store.load()
        do {
            let written = try await store.write(StoreChanges([.serverKey: "key"]), over: contents)
            #expect(isDone && written[.serverKey] == Array("key".utf8))
            // And what comes next builds on it.
            _ = try await store.write(StoreChanges([.tunnelToken: "token"]), over: written)
            #expect(fake.values?["tunnel-token"] == "token")
        } catch {
            #expect(!isDone && error.code == .unavailable && fake.values?["tls.key"] == nil)
            #expect(error.reason.contains("the connection broke; it may have been carried out all the same"))
        }
    }

    @Test func aSecretThatNeverRestsIsGivenUp() async throws {
        let fake = FakeSecret { number, method, secret in
            if method != "GET" { secret.set("theirs", "\(number)") }
            return .none
        }
        let store = try fake.store()
        let error = await #expect(throws: StoreError.self) {
            try await store.write(StoreChanges(Self.first), over: store.load())
        }
        #expect(error?.code == .conflict && error?.reason.contains("does not stop changing") == true)
        #expect(fake.methods.count { $0 != "GET" } == KubernetesSecretStore.maxAttempts)
    }

    /// A refusal that says nothing about the Secret is told at once.
    @Test(arguments: [
        (403, "Forbidden", StoreError.Code.denied), (401, "Unauthorized", .denied), (422, "Invalid", .malformed),
        (413, "RequestEntityTooLarge", .malformed), (429, "TooManyRequests", .unavailable),
    ]) func aRefusalIsToldOnce(_ status: Int, _ reason: String, _ code: StoreError.Code) async throws {
        let fake = FakeSecret { _, method, _ in
            guard method == "PATCH" else { return .none }
            return .refused(status, reason: reason, message: "User \"u\" cannot patch resource \"secrets\"")
        }
        fake.change { $0.set("tunnel-id", "t-1") }
        let store = try fake.store()
        let contents = try await store.load()
        let error = await #expect(throws: StoreError.self) {
            try await store.write(StoreChanges([.serverKey: "key"]), over: contents)
        }
        #expect(error?.code == code)
        #expect(error?.reason.hasPrefix("cannot patch secret mcp-tunnel in namespace tunnels: ") == true)
        #expect(status != 403 || error?.remedy.contains("verbs: [patch]") == true)
        #expect(fake.values == ["tunnel-id": "t-1"])
    }

    @Test func aMissingNamespaceIsNotRepeated() async throws {
        let fake = FakeSecret { _, method, _ in
            method == "POST" ? .refused(404, reason: "NotFound", message: "namespaces \"tunnels\" not found") : .none
        }
        let store = try fake.store()
        let error = await #expect(throws: StoreError.self) {
            try await store.write(StoreChanges(Self.first), over: store.load())
        }
        #expect(error?.code == .notFound && error?.remedy == "see that namespace tunnels exists")
        #expect(fake.methods == ["GET", "POST", "GET"])
    }

    @Test func anImmutableSecretIsCalledThat() async throws {
        let fake = FakeSecret()
        fake.change {
            $0.set("tunnel-id", "t-1")
            $0.isImmutable = true
        }
        let store = try fake.store()
        let contents = try await store.load()
        #expect(contents.texts == [.tunnelID: "t-1"])
        let error = await #expect(throws: StoreError.self) {
            try await store.write(StoreChanges([.serverKey: "key"]), over: contents)
        }
        #expect(error?.code == .denied && error?.reason == "secret mcp-tunnel is immutable; nothing was changed")
    }

    @Test func noSecretIsMadeForNothing() async throws {
        let fake = FakeSecret()
        let store = try fake.store()
        for changes in [StoreChanges(), StoreChanges([.setupState: nil])] {
            #expect(try await store.write(changes, over: StoreContents()).isEmpty)
        }
        #expect(fake.values == nil)
        fake.change { $0.set("setup-state.json", "state") }
        // What is there was not there when it was read.
        for changes in [StoreChanges(), StoreChanges([.setupState: nil])] {
            await #expect(throws: StoreError(.conflict, "", remedy: "")) {
                try await store.write(changes, over: StoreContents())
            }
        }
        let contents = try await store.load()
        #expect(try await store.write(StoreChanges([.setupState: nil]), over: contents).isEmpty)
        #expect(fake.values == [:])
    }

    @Test func aValueMayHaveAsManyBytesAsIsSaid() async throws {
        let fake = FakeSecret()
        let store = try fake.store()
        let most = String(repeating: "x", count: StoreContents.maxValueBytes)
        let contents = try await store.write(StoreChanges([.serverKey: most]), over: store.load())
        #expect(contents.texts == [.serverKey: most])
        await #expect(throws: StoreError(.malformed, "", remedy: "")) {
            try await store.write(StoreChanges([.serverKey: most + "x"]), over: contents)
        }
        fake.change { $0.set("tls.key", most + "x") }
        let error = await #expect(throws: StoreError.self) { try await store.load() }
        #expect(error?.code == .malformed)
        #expect(error?.reason == "tls.key in secret mcp-tunnel is larger than 65536 bytes")
    }

    @Test func outsideOfAPodThereIsNone() {
        let error = #expect(throws: StoreError.self) {
            _ = try KubernetesSecretStore.inCluster(name: "mcp-tunnel", environment: [:])
        }
        #expect(error?.code == .notFound)
        #expect(error?.reason.hasPrefix("KUBERNETES_SERVICE_HOST is not set") == true)
    }
}
