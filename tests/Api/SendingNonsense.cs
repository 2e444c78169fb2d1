using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Routing;
using Npgsql;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>
/// Every endpoint gets what nobody means: wrong types and lengths, odd Unicode, unknown and doubled members, deep and huge JSON, wrong content types, paths,
/// queries and headers. Never a 500, never a stack trace, never a row that an answer other than success left behind. The seed is printed with every failure:
/// the same seed sends the same requests.
/// </summary>
public sealed class SendingNonsense(PrivatePostgres postgres) : IAsyncLifetime
{
    private const int Requests = 21_000;
    private const int Senders = 4;
    private const int Seed = 20261122;

    private ApiUnderTest api = null!;
    private string database = null!;
    private IReadOnlyList<(string Method, string Pattern)> routes = [];
    private List<string> ids = [];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        database = await postgres.CreateDatabaseAsync(migrated: true);
        api = await ApiUnderTest.StartAsync(database, settings: ["--Logging:LogLevel:Default=None", "--Runs:AcceptTimeout=00:00:01"]);
        var server = await api.RegisterServerAsync(volumes: 2);
        var foreign = await api.RegisterServerAsync(project: api.Tokens.OtherProject);
        var volume = (await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct))[0].VolumeId!.Value;
        var snapshot = Given.Snapshot((await api.Service<VolumeStore>().FindAsync(volume, Ct))!);
        var image = ImageId.New();
        await api.Service<Database>().WriteAsync(
            async s =>
            {
                await api.Service<SnapshotStore>().AddAsync(s, [snapshot]);
                await api.Service<ImageStore>().AddQueuedAsync(s, image, Given.Draft(api.Tokens.Project), Given.Now);
                await api.Service<ImageStore>().ActivateAsync(s, image, new Dictionary<string, string>(), null, Given.Now);
                var run = Given.Run(api.Tokens.Project, image);
                await api.Service<RunStore>().OpenAsync(s, run);
                await api.Service<RunStore>().CloseAsync(s, image, run.RequestId, RunStatus.Completed, null, null, [], [], Given.Now);
            },
            Ct);
        ids = [server.Id.ToString(), foreign.Id.ToString(), volume.ToString(), snapshot.Id.ToString(), image.ToString(), api.Tokens.Project, "default"];
        routes = [.. api.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .SelectMany(e => (e.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"]).Select(m => (m, "/" + e.RoutePattern.RawText!.Trim('/'))))
            // Readiness asks Temporal, where nobody listens, and that takes its time.
            .Where(r => !r.Item2.StartsWith("/health", StringComparison.Ordinal))
            // A stream goes on, and who has signed out can send nothing more.
            .Where(r => r.Item2 is not ("/dashboard/events" or "/dashboard/runs/{id}/events" or "/dashboard/sign-out"))
            .OrderBy(r => r.Item2, StringComparer.Ordinal).ThenBy(r => r.m, StringComparer.Ordinal)];
    }

    public ValueTask DisposeAsync() => api.DisposeAsync();

    [Fact]
    public async Task Nothing_that_can_be_sent_is_a_500_shows_a_stack_trace_or_leaves_a_row()
    {
        var before = await RowsAsync();
        var sent = 0;
        var lost = 0;
        var wrong = new System.Collections.Concurrent.ConcurrentBag<string>();
        var met = new System.Collections.Concurrent.ConcurrentDictionary<int, int>();
        await Task.WhenAll(Enumerable.Range(0, Senders).Select(n => Task.Run(async () =>
        {
            var random = new Random(Seed + n);
            for (var i = 0; i < Requests / Senders && wrong.Count < 20; i++)
            {
                var (method, pattern) = routes[(i * Senders + n) % routes.Count];
                var request = Nonsense.Request(random, method, pattern, api.Url.GetLeftPart(UriPartial.Authority), ids, api.Tokens);
                Answer answer;
                try
                {
                    answer = await api.SendAsync(request);
                }
                catch (HttpRequestException e) when (e.InnerException is IOException)
                {
                    // A body that is refused while it is still being sent ends its connection, and with it the answer, or the request that took the connection next.
                    Interlocked.Increment(ref lost);
                    continue;
                }

                Interlocked.Increment(ref sent);
                met.AddOrUpdate((int)answer.Status, 1, (_, c) => c + 1);
                if (Problem(answer) is { } problem)
                {
                    wrong.Add($"seed {Seed + n}, request {i}: {request.Method} {request.RequestUri}: {problem}: {answer.Text[..Math.Min(answer.Text.Length, 400)]}");
                }
            }
        })));

        Assert.True(wrong.IsEmpty, string.Join('\n', wrong));
        Assert.True(sent >= 20_000, $"only {sent} requests were answered");
        Assert.True(lost < sent / 100, $"{lost} connections ended without an answer");
        // It is no test of one refusal only: the requests got as far as every kind of check.
        Assert.All([200, 400, 401, 403, 404, 405, 413, 415], status => Assert.True(met.ContainsKey(status), $"no request met a {status}: {string.Join(", ", met.OrderBy(m => m.Key).Select(m => $"{m.Key} × {m.Value}"))}"));
        Assert.Equal(before, await RowsAsync());
    }

    private static string? Problem(Answer answer) =>
        (int)answer.Status >= 500 && (int)answer.Status != 503 ? $"status {(int)answer.Status}"
        : answer.Text.Contains("   at ", StringComparison.Ordinal) || answer.Text.Contains("Exception", StringComparison.Ordinal) ? "a stack trace"
        : (int)answer.Status >= 400 && answer.Text.Length > 0 && !IsFault(answer) ? "no fault"
        : null;

    private static bool IsFault(Answer answer)
    {
        if (answer.Response.Content.Headers.ContentType?.MediaType is "text/html")
        {
            return answer.Text.Contains("role=\"alert\"", StringComparison.Ordinal);
        }

        try
        {
            return answer.Json.ValueKind is JsonValueKind.Object && answer.Json.EnumerateObject().Single().Value.GetProperty("code").GetInt32() == (int)answer.Status;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            return false;
        }
    }

    /// <summary>
    /// How many rows every table has. The answers that are kept for idempotency keys stay, refusals too: that is what the keys are for. Some nonsense is right:
    /// metadata, properties, members and the news of them are what it may change.
    /// </summary>
    private async Task<string> RowsAsync()
    {
        string[] changeable = ["idempotent_requests", "snapshot_metadata", "image_properties", "image_members", "notifications"];
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(Ct);
        List<string> tables = [], counts = [];
        await using (var list = new NpgsqlCommand("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> ALL($1) ORDER BY table_name", connection) { Parameters = { new() { Value = changeable } } })
        await using (var reader = await list.ExecuteReaderAsync(Ct))
        {
            while (await reader.ReadAsync(Ct))
            {
                tables.Add(reader.GetString(0));
            }
        }

        foreach (var table in tables)
        {
            await using var count = new NpgsqlCommand($"SELECT count(*) FROM \"{table}\"", connection);
            counts.Add($"{table} {await count.ExecuteScalarAsync(Ct)}");
        }

        return string.Join('\n', counts);
    }
}

/// <summary>Makes requests that nobody means, the same for the same random numbers.</summary>
internal static class Nonsense
{
    private static readonly string[] Words =
    [
        "", " ", "a", "null", "None", "true", "0", "-1", "1e309", "9999999999999999999999", "..", "../../etc/passwd", "%00", "%2e%2e%2f", "\u0000", "\ud83d\ude00", "ünïcødé",
        "\u202e\u200b", "\uffff", "a\r\nX-Injected: 1", "'; DROP TABLE servers; --", "<script>alert(1)</script>", "${jndi:ldap://x}", "{{7*7}}", "%s%n", "2026-11-22T20:00:00Z",
        "11111111-2222-3333-4444-555555555555", "11111111222233334444555555555555", "created_at:desc", "name:asc,id", "in:active,queued", "gt:5", "eq:", "\\", "\"", "*", "_%",
    ];

    private static readonly string[] Names =
    [
        "createImage", "name", "metadata", "server_id", "quiesce", "freeze_deadline", "on_expiry", "dry_run", "snapshot", "volume", "volume_id", "snapshot_id", "force", "size", "description",
        "server", "volume_type", "quota", "quota_set", "quotas", "servers", "volumes", "volume_types", "limits", "snapshots", "gigabytes", "id", "project_id", "block_devices", "host", "vm_state",
        "backend", "status", "auth", "identity", "methods", "password", "user", "token", "scope", "project", "domain", "system_metadata", "extra_specs", "os-reset_status", "os-force_delete",
        "os-update_snapshot_status", "op", "path", "value", "member", "tags", "visibility", "", " ", "\u0000", "__proto__", "$type", "ünï",
    ];

    private static readonly string[] ImageAttributes =
        ["name", "visibility", "protected", "os_hidden", "min_disk", "min_ram", "tags", "owner", "disk_format", "status", "os_glance_x", "a~1b", "~2", "snapshotflow_consistency", "block_device_mapping"];

    private static readonly string[] Queries =
    [
        "limit", "marker", "sort", "sort_key", "sort_dir", "offset", "name", "status", "visibility", "owner", "os_hidden", "all_tenants", "all_projects", "project_id", "tenant_id", "volume_id",
        "usage", "changes-since", "changes-before", "with_count", "member_status", "tag", "created_at", "updated_at", "id", "size_min", "size_max", "min_disk", "protected", "metadata", "name~", "consumes_quota", "availability_zone", "host", "size", "bootable", "glance_metadata", "group_id", "user_id", "multiattach", "status~", "volume_type_id", "nocatalog", "allow_expired", "x", "",
    ];

    private static readonly string[] ContentTypes =
        ["application/json", "application/json; charset=utf-8", "application/json; charset=utf-16", "text/plain", "application/xml", "multipart/form-data", "application/openstack-images-v2.1-json-patch", "x", "application/octet-stream"];

    private static readonly (string Name, string Value)[] Headers =
    [
        ("OpenStack-API-Version", "compute 2.1"), ("OpenStack-API-Version", "compute latest"), ("OpenStack-API-Version", "compute 2.93, volume 3.70"), ("OpenStack-API-Version", "volume 3.66"),
        ("OpenStack-API-Version", "compute x"), ("OpenStack-API-Version", ",,, ,"), ("X-OpenStack-Nova-API-Version", "2.60"), ("X-OpenStack-Nova-API-Version", "99.99"), ("Idempotency-Key", "k"),
        ("Idempotency-Key", ""), ("Idempotency-Key", "ü"), ("X-OpenStack-Request-ID", "req-\u00ff"), ("X-Service-Token", "unknown"), ("Accept", "text/html"), ("Accept", "\u00ff"), ("Authorization", "Bearer x"),
        ("Authorization", "Basic \u00ff"), ("X-Subject-Token", "unknown"), ("X-Subject-Token", "\u00ff"), ("Range", "bytes=0-"), ("If-None-Match", "*"), ("X-HTTP-Method-Override", "DELETE"),
        ("Content-Encoding", "gzip"), ("Expect", "x"), ("Cookie", "a=b; \u00ff"), ("X-Forwarded-Proto", "gopher"), ("Forwarded", "for=x"), ("X-Image-Meta-Store", "x"),
    ];

    public static HttpRequestMessage Request(Random random, string method, string pattern, string root, IReadOnlyList<string> ids, TestTokens tokens)
    {
        var request = new HttpRequestMessage(random.Next(25) == 0 ? new(Pick(random, ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "FROB"])) : new(method), new Uri(root + Path(random, pattern, ids, tokens)));
        if (Token(random, tokens) is { } token)
        {
            request.Headers.TryAddWithoutValidation("X-Auth-Token", token);
        }

        if (pattern.StartsWith("/dashboard", StringComparison.Ordinal) && request.Method.Method == method)
        {
            return Browse(random, request, ids);
        }

        for (var n = random.Next(3); n > 0; n--)
        {
            var (name, value) = Headers[random.Next(Headers.Length)];
            request.Headers.TryAddWithoutValidation(name, value);
        }

        if (method is not ("GET" or "HEAD") || random.Next(20) == 0)
        {
            request.Content = new ByteArrayContent(Body(random, pattern, ids));
            request.Content.Headers.TryAddWithoutValidation(
                "Content-Type", random.Next(6) == 0 ? Pick(random, ContentTypes) : method is "PATCH" ? "application/openstack-images-v2.1-json-patch" : "application/json");
        }

        return request;
    }

    /// <summary>As a browser sends it: a session, and forms that often carry its proof.</summary>
    private static HttpRequestMessage Browse(Random random, HttpRequestMessage request, IReadOnlyList<string> ids)
    {
        var session = request.Headers.TryGetValues("X-Auth-Token", out var token) ? token.First() : "";
        request.Headers.Remove("X-Auth-Token");
        request.Headers.TryAddWithoutValidation("Cookie", $"snapshotflow={session}");
        if (random.Next(8) > 0)
        {
            request.Headers.TryAddWithoutValidation("Sec-Fetch-Site", "same-origin");
        }

        if (request.Method == HttpMethod.Post && random.Next(10) > 0)
        {
            string Field() => random.Next(3) == 0 ? Pick(random, [.. ids]) : Pick(random, Words);
            var form = new Dictionary<string, string> { ["server_id"] = Field(), ["name"] = Field(), ["quiesce"] = Field(), ["user"] = Field(), ["password"] = Field(), ["next"] = Field() };
            form["proof"] = random.Next(5) == 0 ? Field() : SnapshotFlow.Api.Identity.Sessions.SessionCookie.ProofOf(session);
            request.Content = new FormUrlEncodedContent(form);
        }

        return request;
    }

    private static string? Token(Random random, TestTokens tokens) => random.Next(12) switch
    {
        0 => null,
        1 => Pick(random, ["unknown", "\u00ff\u00fe", new string('t', 9000), " ", "a b"]),
        2 => tokens.Nobody,
        3 => tokens.Reader,
        4 or 5 => tokens.OtherMember,
        6 or 7 or 8 => tokens.Admin,
        _ => tokens.Member,
    };

    private static string Path(Random random, string pattern, IReadOnlyList<string> ids, TestTokens tokens)
    {
        var path = new StringBuilder();
        foreach (var segment in pattern.Trim('/').Split('/'))
        {
            path.Append('/').Append(
                segment is "{project_id}" ? random.Next(5) == 0 ? Text(random) : Uri.EscapeDataString(Pick(random, [tokens.Project, tokens.Project, tokens.AdminProject, tokens.OtherProject]))
                : segment.StartsWith('{') ? random.Next(2) == 0 ? ids[random.Next(ids.Count)] : Text(random)
                : random.Next(60) == 0 ? Text(random) : segment);
        }

        if (random.Next(40) == 0)
        {
            path.Append(Pick(random, ["/", "//", "/.", "/%2f", "/x/y", ";a=b", "%"]));
        }

        for (var (n, mark) = (random.Next(4), '?'); n > 0; n--, mark = '&')
        {
            path.Append(mark).Append(Uri.EscapeDataString(random.Next(8) == 0 ? Pick(random, Words) : Pick(random, Queries))).Append('=').Append(random.Next(5) == 0 ? ids[random.Next(ids.Count)] : Text(random));
        }

        return path.ToString();
    }

    /// <summary>A word as it may stand in a path; not always escaped as it should be.</summary>
    private static string Text(Random random) => random.Next(6) switch
    {
        0 => Uri.EscapeDataString(new string('x', random.Next(3000))),
        1 => Guid.Parse($"{random.Next():x8}-0000-4000-8000-{random.NextInt64(1L << 47):x12}").ToString(),
        2 => "%ff%fe%" + random.Next(10, 99),
        _ => Uri.EscapeDataString(Pick(random, Words)),
    };

    private static byte[] Body(Random random, string pattern, IReadOnlyList<string> ids)
    {
        switch (random.Next(14))
        {
            case 0:
                return [];
            case 1:
                var noise = new byte[random.Next(200)];
                random.NextBytes(noise);
                return noise;
            case 2:
                return Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(Pick(random, ["[", "{\"a\":", "{\"auth\":{\"identity\":"]), random.Next(1, 3000))));
            case 3 when random.Next(4) == 0:
                return Encoding.UTF8.GetBytes($"{{\"name\": \"{new string('n', 70_000)}\"}}");
            case 4:
                return Encoding.UTF8.GetBytes($"{{\"name\": 1, \"name\": 2, \"a\": \"\\ud800\"}}");
            case 5:
                var json = Value(random, 4, ids)?.ToJsonString() ?? "null";
                return Encoding.UTF8.GetBytes(json[..random.Next(json.Length + 1)]);
            case 6:
                return Encoding.Unicode.GetBytes("{\"a\": 1}");
            default:
                return Encoding.UTF8.GetBytes((Shaped(random, pattern, ids) ?? Value(random, 4, ids))?.ToJsonString() ?? "null");
        }
    }

    /// <summary>Nearly right: the member that the endpoint reads, with nonsense deeper inside.</summary>
    private static JsonNode? Shaped(Random random, string pattern, IReadOnlyList<string> ids)
    {
        JsonNode? Any(int depth = 2) => Value(random, depth, ids);
        JsonNode? Mostly(JsonNode? right) => random.Next(4) == 0 ? Any() : right;
        JsonNode? Id() => Mostly(ids[random.Next(ids.Count)]);
        JsonNode? Texts() => Mostly(new JsonObject { [Pick(random, Names)] = Any(0), [Pick(random, Words)] = Mostly("v") });
        return pattern switch
        {
            _ when random.Next(4) == 0 => null,
            _ when pattern.EndsWith("/volumes/{id}/action", StringComparison.Ordinal) => new JsonObject { [Pick(random, ["os-reset_status", "os-set_bootable", "os-force_delete", "os-extend"])] = Mostly(new JsonObject { ["status"] = Mostly(Pick(random, ["error", "In-use"])), ["migration_status"] = Mostly("none"), ["bootable"] = Any() }) },
            _ when pattern.EndsWith("/volumes/{id}", StringComparison.Ordinal) => new JsonObject { ["volume"] = Mostly(new JsonObject { ["name"] = Any(0), [Pick(random, ["description", "display_name", "metadata"])] = Any() }) },
            _ when pattern.EndsWith("/action", StringComparison.Ordinal) => pattern.Contains("/snapshots/", StringComparison.Ordinal)
                ? new JsonObject { [Pick(random, ["os-reset_status", "os-update_snapshot_status", "os-force_delete", "os-teleport"])] = Mostly(new JsonObject { ["status"] = Mostly(Pick(random, ["error", "Available", "deleting", "deleted"])), ["progress"] = Mostly("90%") }) }
                : new JsonObject { [Pick(random, ["createImage", "createImage", "reboot"])] = Mostly(new JsonObject { ["name"] = Mostly("n"), ["metadata"] = Mostly(new JsonObject { ["k"] = Any() }) }) },
            _ when pattern.EndsWith("/metadata", StringComparison.Ordinal) => new JsonObject { ["metadata"] = Texts() },
            _ when pattern.EndsWith("/metadata/{key}", StringComparison.Ordinal) => new JsonObject { ["meta"] = Texts() },
            _ when pattern.EndsWith("/snapshots/{id}", StringComparison.Ordinal) => new JsonObject { ["snapshot"] = Mostly(new JsonObject { ["name"] = Any(0), [Pick(random, ["description", "display_name", "metadata"])] = Any() }) },
            _ when pattern.EndsWith("/members", StringComparison.Ordinal) => new JsonObject { ["member"] = Any(0) },
            _ when pattern.EndsWith("/members/{member}", StringComparison.Ordinal) => new JsonObject { ["status"] = Mostly("accepted") },
            "/runs" => new JsonObject { ["server_id"] = Id(), ["name"] = Any(), ["metadata"] = Any(), ["quiesce"] = Any(), ["freeze_deadline"] = Any(), ["dry_run"] = Any() },
            "/identity/v3/auth/tokens" => new JsonObject
            {
                ["auth"] = Mostly(new JsonObject
                {
                    ["identity"] = Mostly(new JsonObject { ["methods"] = Mostly(new JsonArray("password")), ["password"] = Mostly(new JsonObject { ["user"] = Mostly(new JsonObject { ["id"] = Any(), ["password"] = Any() }) }), ["token"] = Any() }),
                    ["scope"] = Any(),
                }),
            },
            _ when pattern.EndsWith("/snapshots", StringComparison.Ordinal) => new JsonObject { ["snapshot"] = Mostly(new JsonObject { ["volume_id"] = Any(), ["name"] = Any(), ["force"] = Any(), ["metadata"] = Any() }) },
            _ when pattern.EndsWith("/volumes", StringComparison.Ordinal) => new JsonObject { ["volume"] = Mostly(new JsonObject { ["snapshot_id"] = Any(), ["size"] = Any(), ["name"] = Any(), ["metadata"] = Any() }) },
            _ when pattern.Contains("os-quota-sets", StringComparison.Ordinal) => new JsonObject { ["quota_set"] = Mostly(new JsonObject { [Pick(random, Names)] = Any(), ["bogus"] = Any() }) },
            _ when pattern.Contains("/images/", StringComparison.Ordinal) => new JsonArray(new JsonObject { ["op"] = Mostly(Pick(random, ["add", "replace", "remove", "move"])), ["path"] = Mostly("/" + Pick(random, random.Next(2) == 0 ? Names : ImageAttributes)), ["value"] = Any() }),
            // A whole registration would be a right one sooner or later, and leave rows: one member is always wrong.
            _ when pattern.StartsWith("/admin/", StringComparison.Ordinal) => new JsonObject { [Pick(random, ["server", "volume", "volume_type", "quota", "servers", "volumes"])] = Mostly(new JsonObject { ["id"] = Id(), ["project_id"] = Mostly("p"), ["size"] = Any(), ["backend"] = Mostly("n@b"), ["name"] = Any(), ["block_devices"] = Any(), ["limits"] = Any(), ["bogus"] = true }) },
            _ => null,
        };
    }

    private static JsonNode? Value(Random random, int depth, IReadOnlyList<string> ids)
    {
        switch (random.Next(depth > 0 ? 11 : 8))
        {
            case 0:
                return null;
            case 1:
                return random.Next(2) == 0;
            case 2:
                return JsonNode.Parse(Pick(random, ["0", "-1", "1.5", "1e300", "99999999999999999999999999", "-0", "2147483648", "0.1e-9"]));
            case 3:
                return ids[random.Next(ids.Count)];
            case 4:
                return new string(Pick(random, ["a", "é", "\u0000", " ", "\u2028"])[0], random.Next(1, 600));
            case 5 or 6 or 7:
                return Pick(random, Words) is var word && word.Any(char.IsSurrogate) && random.Next(2) == 0 ? "x" : word;
            case 8:
                return new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => Value(random, depth - 1, ids))]);
            default:
                var members = new JsonObject();
                for (var n = random.Next(5); n > 0; n--)
                {
                    members[Pick(random, Names)] = Value(random, depth - 1, ids);
                }

                return members;
        }
    }

    private static string Pick(Random random, string[] of) => of[random.Next(of.Length)];
}
