using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Routing;
using SnapshotFlow.Api.Identity.Sessions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>
/// Every route × who asks. The thing that a path names is the member's: so it is a foreign one to the other project's member, and must look to that one exactly
/// like one that is not there. Nobody listens at Temporal's address here: 503 is what a request gets that was let in and would have started a run.
/// </summary>
public sealed class AuthorizingEveryRoute(ApiAlone alone) : IAsyncLifetime, IClassFixture<ApiAlone>
{
    /// <summary>Route, and the status for a member of the thing's project, a reader of it, a member of another, an administrator, and who has no token.</summary>
    private const string Table = """
        GET    /                                                                        200 200 200 200 200
        GET    /health/live                                                             200 200 200 200 200
        GET    /health/ready                                                            503 503 503 503 503
        GET    /compute                                                                 200 200 200 200 200
        GET    /compute/v2.1                                                            200 200 200 200 200
        GET    /volume                                                                  300 300 300 300 300
        GET    /volume/v3                                                               200 200 200 200 200
        GET    /image                                                                   300 300 300 300 300
        GET    /image/versions                                                          200 200 200 200 200
        GET    /openapi                                                                 200 200 200 200 200
        GET    /openapi/{documentName}.json                                             404 404 404 404 404
        GET    /identity                                                                300 300 300 300 300
        GET    /identity/v3                                                             200 200 200 200 200

        POST   /identity/v3/auth/tokens                                                 400 400 400 400 400
        GET    /identity/v3/auth/tokens                                                 200 403 403 200 401
        HEAD   /identity/v3/auth/tokens                                                 200 403 403 200 401
        DELETE /identity/v3/auth/tokens                                                 204 403 403 204 401
        GET    /identity/v3/auth/catalog                                                200 200 200 200 401
        GET    /identity/v3/auth/projects                                               200 200 200 200 401
        GET    /identity/v3/auth/domains                                                200 200 200 200 401
        GET    /identity/v3/projects                                                    403 403 403 200 401
        GET    /identity/v3/projects/{id}                                               200 200 403 200 401
        GET    /identity/v3/users                                                       403 403 403 200 401
        GET    /identity/v3/users/{id}                                                  200 403 403 200 401
        GET    /identity/v3/users/{id}/projects                                         200 403 403 200 401
        GET    /identity/v3/roles                                                       403 403 403 200 401
        GET    /identity/v3/domains                                                     403 403 403 200 401
        GET    /identity/v3/domains/{id}                                                200 200 200 200 401

        GET    /compute/v2.1/servers                                                    200 200 200 200 401
        GET    /compute/v2.1/servers/detail                                             200 200 200 200 401
        GET    /compute/v2.1/servers/{id}                                               200 200 404 200 401
        POST   /compute/v2.1/servers/{id}/action                                        503 403 404 503 401
        GET    /compute/v2.1/servers/{id}/os-instance-actions                           200 200 404 200 401
        GET    /compute/v2.1/servers/{id}/os-instance-actions/{request_id}              200 200 404 200 401
        GET    /compute/v2.1/servers/{id}/os-volume_attachments                         200 200 404 200 401
        GET    /compute/v2.1/servers/{id}/os-volume_attachments/{volume_id}             200 200 404 200 401
        GET    /compute/v2.1/flavors                                                    200 200 200 200 401
        GET    /compute/v2.1/flavors/detail                                             200 200 200 200 401
        GET    /compute/v2.1/flavors/{id}                                               404 404 404 404 401
        GET    /compute/v2.1/limits                                                     200 200 200 200 401
        GET    /compute/v2.1/os-quota-sets/{id}                                         200 200 403 200 401
        GET    /compute/v2.1/os-quota-sets/{id}/defaults                                200 200 200 200 401
        GET    /compute/v2.1/os-quota-sets/{id}/detail                                  200 200 403 200 401
        PUT    /compute/v2.1/os-quota-sets/{id}                                         403 403 403 400 401

        GET    /volume/v3/{project_id}/snapshots                                        200 200 200 200 401
        GET    /volume/v3/{project_id}/snapshots/detail                                 200 200 200 200 401
        GET    /volume/v3/{project_id}/snapshots/{id}                                   200 200 404 200 401
        POST   /volume/v3/{project_id}/snapshots                                        503 403 404 503 401
        DELETE /volume/v3/{project_id}/snapshots/{id}                                   503 403 404 503 401
        PUT    /volume/v3/{project_id}/snapshots/{id}                                   200 403 404 200 401
        GET    /volume/v3/{project_id}/snapshots/{id}/metadata                          200 200 404 200 401
        POST   /volume/v3/{project_id}/snapshots/{id}/metadata                          200 403 404 200 401
        PUT    /volume/v3/{project_id}/snapshots/{id}/metadata                          200 403 404 200 401
        GET    /volume/v3/{project_id}/snapshots/{id}/metadata/{key}                    200 200 404 200 401
        PUT    /volume/v3/{project_id}/snapshots/{id}/metadata/{key}                    200 403 404 200 401
        DELETE /volume/v3/{project_id}/snapshots/{id}/metadata/{key}                    200 403 404 200 401
        POST   /volume/v3/{project_id}/snapshots/{id}/action                            202 403 404 202 401
        GET    /volume/v3/{project_id}/volumes                                          200 200 200 200 401
        GET    /volume/v3/{project_id}/volumes/detail                                   200 200 200 200 401
        GET    /volume/v3/{project_id}/volumes/summary                                  200 200 200 200 401
        GET    /volume/v3/{project_id}/volumes/{id}                                     200 200 404 200 401
        POST   /volume/v3/{project_id}/volumes                                          503 403 404 503 401
        DELETE /volume/v3/{project_id}/volumes/{id}                                     503 403 404 503 401
        PUT    /volume/v3/{project_id}/volumes/{id}                                     200 403 404 200 401
        GET    /volume/v3/{project_id}/volumes/{id}/metadata                            200 200 404 200 401
        POST   /volume/v3/{project_id}/volumes/{id}/metadata                            200 403 404 200 401
        PUT    /volume/v3/{project_id}/volumes/{id}/metadata                            200 403 404 200 401
        GET    /volume/v3/{project_id}/volumes/{id}/metadata/{key}                      200 200 404 200 401
        PUT    /volume/v3/{project_id}/volumes/{id}/metadata/{key}                      200 403 404 200 401
        DELETE /volume/v3/{project_id}/volumes/{id}/metadata/{key}                      200 403 404 200 401
        POST   /volume/v3/{project_id}/volumes/{id}/action                              200 403 404 200 401
        GET    /volume/v3/{project_id}/messages                                         200 200 200 200 401
        GET    /volume/v3/{project_id}/messages/{id}                                    200 200 404 200 401
        DELETE /volume/v3/{project_id}/messages/{id}                                    204 403 404 204 401
        GET    /volume/v3/{project_id}/limits                                           200 200 200 200 401
        GET    /volume/v3/{project_id}/os-quota-sets/{id}                               200 200 403 200 401
        GET    /volume/v3/{project_id}/os-quota-sets/{id}/defaults                      200 200 403 200 401
        PUT    /volume/v3/{project_id}/os-quota-sets/{id}                               403 403 403 400 401
        DELETE /volume/v3/{project_id}/os-quota-sets/{id}                               403 403 403 200 401
        GET    /volume/v3/{project_id}/os-services                                      403 403 403 503 401
        PUT    /volume/v3/{project_id}/os-services/freeze                               403 403 403 400 401
        PUT    /volume/v3/{project_id}/os-services/thaw                                 403 403 403 400 401
        GET    /volume/v3/{project_id}/types                                            200 200 200 200 401
        GET    /volume/v3/{project_id}/types/{id}                                       200 200 200 200 401

        GET    /image/v2/images                                                         200 200 200 200 401
        POST   /image/v2/images                                                         405 403 405 405 401
        GET    /image/v2/images/{id}                                                    200 200 404 200 401
        DELETE /image/v2/images/{id}                                                    503 403 404 503 401
        PATCH  /image/v2/images/{id}                                                    200 403 404 200 401
        GET    /image/v2/images/{id}/file                                               204 403 404 204 401
        PUT    /image/v2/images/{id}/file                                               405 403 405 405 401
        PUT    /image/v2/images/{id}/tags/{tag}                                         204 403 404 204 401
        DELETE /image/v2/images/{id}/tags/{tag}                                         204 403 404 204 401
        GET    /image/v2/images/{id}/members                                            200 200 404 200 401
        POST   /image/v2/images/{id}/members                                            200 403 404 200 401
        GET    /image/v2/images/{id}/members/{member}                                   200 200 404 200 401
        PUT    /image/v2/images/{id}/members/{member}                                   403 403 404 200 401
        DELETE /image/v2/images/{id}/members/{member}                                   204 403 404 204 401
        POST   /image/v2/images/{id}/actions/deactivate                                 403 403 404 204 401
        POST   /image/v2/images/{id}/actions/reactivate                                 403 403 404 204 401
        GET    /image/v2/schemas/image                                                  200 200 200 200 401
        GET    /image/v2/schemas/images                                                 200 200 200 200 401
        GET    /image/v2/schemas/member                                                 200 200 200 200 401
        GET    /image/v2/schemas/members                                                200 200 200 200 401

        POST   /runs                                                                    503 403 404 503 401
        GET    /runs                                                                    200 200 200 200 401
        GET    /runs/{id}                                                               200 200 404 200 401
        POST   /runs/{id}/cancel                                                        409 403 404 409 401

        POST   /runs/{id}/restore                                                       503 403 404 503 401
        GET    /operations                                                              200 200 200 200 401
        GET    /operations/{id}                                                         200 200 404 200 401
        POST   /operations/{id}/cancel                                                  503 403 404 503 401

        GET    /admin/findings                                                          403 403 403 200 401
        POST   /admin/servers                                                           403 403 403 400 401
        POST   /admin/volumes                                                           403 403 403 400 401
        POST   /admin/volume-types                                                      403 403 403 400 401
        POST   /admin/quotas                                                            403 403 403 400 401
        POST   /admin/inventory                                                         403 403 403 200 401

        GET    /dashboard/assets/{name}                                                 404 404 404 404 404
        GET    /dashboard/sign-in                                                       200 200 200 200 200
        POST   /dashboard/sign-in                                                       401 401 401 401 401
        POST   /dashboard/sign-out                                                      403 403 403 403 401
        GET    /dashboard                                                               200 200 200 200 401
        GET    /dashboard/events                                                        200 200 200 200 401
        GET    /dashboard/runs                                                          200 200 200 200 401
        GET    /dashboard/runs/{id}                                                     200 200 404 200 401
        GET    /dashboard/runs/{id}/events                                              200 200 404 200 401
        POST   /dashboard/runs/{id}/cancel                                              409 403 404 409 401
        GET    /dashboard/new                                                           200 403 200 200 401
        POST   /dashboard/new                                                           503 403 404 503 401
        """;

    private static readonly Dictionary<string, int[]> Expected = Table.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(words => words.Length > 0)
        .ToDictionary(words => $"{words[0]} {words[1]}", words => words[2..].Select(w => int.Parse(w, System.Globalization.CultureInfo.InvariantCulture)).ToArray());

    private static readonly string[] Personas = ["member", "reader", "other", "admin", "none"];

    private readonly ApiUnderTest api = alone.Api;
    private readonly Dictionary<string, string> ids = [];
    private ImageId image;
    private SnapshotId snapshot;
    private VolumeId volume;

    private TestTokens Tokens => api.Tokens;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Things of the member's project, one of each kind.</summary>
    public async ValueTask InitializeAsync()
    {
        var server = await api.RegisterServerAsync();
        volume = (await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct))[0].VolumeId!.Value;
        var made = Given.Snapshot((await api.Service<VolumeStore>().FindAsync(volume, Ct))!);
        (image, snapshot) = (ImageId.New(), made.Id);
        var run = Given.Run(Tokens.Project, image);
        var type = new VolumeType { Id = Guid.NewGuid(), Name = $"type-{Guid.NewGuid():N}" };
        await api.Service<InventoryStore>().RegisterAsync(new([type], [], [], []), Given.Now, Ct);
        var operation = new Operation
        {
            Id = OperationId.New(), Kind = OperationKind.RestoreImage, ImageId = image, ProjectId = Tokens.Project, UserId = "u", RequestId = "req-1", Status = RunStatus.Running, StartedAt = Given.Now,
        };
        await api.Service<Database>().WriteAsync(
            async s =>
            {
                await api.Service<OperationStore>().OpenAsync(s, operation);
                await api.Service<SnapshotStore>().AddAsync(s, [made]);
                await api.Service<ImageStore>().AddQueuedAsync(s, image, Given.Draft(Tokens.Project) with { Visibility = "shared" }, Given.Now);
                await api.Service<ImageStore>().ActivateAsync(s, image, new Dictionary<string, string>(), null, Given.Now);
                await api.Service<RunStore>().OpenAsync(s, run);
                await api.Service<RunStore>().CloseAsync(s, image, run.RequestId, RunStatus.Completed, null, null, [], [], Given.Now);
                await api.Service<InstanceActionStore>().StartAsync(s, server.Id, InstanceAction.CreateImage, InstanceActionEvent.ApiSnapshotInstance, "req-recorded", Given.Member(Tokens.Project), Given.Now);
            },
            Ct);
        await AddWhatIsDeletedAsync();
        ids["/servers/{id}"] = server.Id.ToString();
        ids["/snapshots/{id}"] = snapshot.ToString();
        ids["/volumes/{id}"] = volume.ToString();
        ids["/images/{id}"] = image.ToString();
        ids["/runs/{id}"] = image.ToString();
        ids["/operations/{id}"] = operation.Id.ToString();
        ids["/types/{id}"] = type.Id.ToString();
        ids["/projects/{id}"] = Tokens.Project;
        ids["/os-quota-sets/{id}"] = Tokens.Project;
        ids["/users/{id}"] = Tokens.Member;
        ids["/domains/{id}"] = "default";
        ids["{request_id}"] = "req-recorded";
        ids["{volume_id}"] = volume.ToString();
        ids["{key}"] = "colour";
        ids["{tag}"] = "gold";
        ids["{member}"] = "shared-with";
    }

    /// <summary>What the table has deleted, once more: a message, a key of a snapshot's and a volume's metadata, a tag and a member of an image.</summary>
    private async Task AddWhatIsDeletedAsync()
    {
        var message = new UserMessage(Guid.NewGuid(), Tokens.Project, "VOLUME", Guid.NewGuid(), "VOLUME_1", "text", "req-1", TimeProvider.System.GetUtcNow());
        await api.Service<Database>().WriteAsync(
            async s =>
            {
                await api.Service<UserMessageStore>().AddAsync(s, message);
                await SnapshotStore.ReplaceMetadataAsync(s, snapshot, new Dictionary<string, string> { ["colour"] = "red" });
                await api.Service<VolumeStore>().DescribeAsync(s, volume, null, null, new Dictionary<string, string> { ["colour"] = "red" }, Given.Now);
                await api.Service<ImageStore>().AddMemberAsync(s, image, "shared-with", Given.Now);
                await api.Service<ImageStore>().UpdateAsync(s, (await api.Service<ImageStore>().LockAsync(s, image))! with { Tags = ["gold"] }, Given.Now);
            },
            Ct);
        ids["/messages/{id}"] = message.Id.ToString();
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public void Every_route_has_a_line_in_the_table()
    {
        var routes = Routes().ToHashSet();
        Assert.True(routes.IsSubsetOf(Expected.Keys), $"routes without a line, for which nobody said who may: {string.Join(", ", routes.Except(Expected.Keys))}");
        Assert.True(Expected.Keys.ToHashSet().IsSubsetOf(routes), $"lines without a route: {string.Join(", ", Expected.Keys.Except(routes))}");
    }

    [Fact]
    public async Task Every_route_lets_in_whom_the_table_lets_in_and_nobody_else()
    {
        List<string> wrong = [];
        foreach (var (route, statuses) in Expected)
        {
            // Whoever is let in comes last: the thing may be gone afterwards.
            foreach (var i in new[] { 4, 2, 1, 3, 0 })
            {
                var answer = await SendAsync(route, Personas[i]);
                if (route.StartsWith("DELETE", StringComparison.Ordinal) && answer.Response.IsSuccessStatusCode)
                {
                    await AddWhatIsDeletedAsync();
                }

                if ((int)answer.Status != statuses[i])
                {
                    wrong.Add($"{route} as {Personas[i]}: {(int)answer.Status}, expected {statuses[i]}: {answer.Text}");
                }
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Fact]
    public async Task What_belongs_to_others_looks_exactly_like_what_is_not_there()
    {
        List<string> wrong = [];
        string[] nobodys = ["/identity/", "/types/", "/flavors/"];
        foreach (var route in Expected.Keys.Where(r => r.Contains("{id}", StringComparison.Ordinal) && !nobodys.Any(n => r.Contains(n, StringComparison.Ordinal))))
        {
            var missing = Guid.NewGuid().ToString();
            var foreign = await SendAsync(route, "other");
            var absent = await SendAsync(route, "other", missing);
            var id = ids.FirstOrDefault(p => route.Contains(p.Key, StringComparison.Ordinal)).Value ?? missing;
            // Dates and request ids apart, the answers must be the same, letter by letter.
            static string Comparable(string text, string id) => Regex.Replace(text, "req-[0-9a-f-]{36}", "REQUEST").Replace(id, "ID", StringComparison.Ordinal);
            if (foreign.Status != absent.Status || Comparable(foreign.Text, id) != Comparable(absent.Text, missing))
            {
                wrong.Add($"{route}: {(int)foreign.Status} {foreign.Text} but {(int)absent.Status} {absent.Text}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Fact]
    public async Task A_role_that_means_nothing_here_is_let_in_nowhere_but_to_what_is_everybodys()
    {
        string[] everybodys = ["/auth/", "/dashboard/sign-in", "/identity/v3/domains/{id}", "/flavors", "/compute/v2.1/limits", "/defaults", "/volume/v3/{project_id}/limits", "/schemas/"];
        foreach (var (route, statuses) in Expected.Where(e => e.Value[4] == 401 && !everybodys.Any(p => e.Key.Contains(p, StringComparison.Ordinal))))
        {
            var answer = await SendAsync(route, "nobody");
            Assert.True((int)answer.Status is 403 or 404 || (route.Contains("/identity/v3/projects/{id}", StringComparison.Ordinal) && statuses[0] == 200), $"{route}: {(int)answer.Status} {answer.Text}");
        }
    }

    [Fact]
    public async Task A_project_in_the_path_must_be_the_tokens_own_even_for_an_administrator()
    {
        foreach (var route in Expected.Keys.Where(r => r.Contains("{project_id}", StringComparison.Ordinal)))
        {
            foreach (var persona in new[] { "other", "admin" })
            {
                var answer = await SendAsync(route, persona, project: Tokens.Project);
                Assert.True((int)answer.Status == 400, $"{route} as {persona}: {(int)answer.Status} {answer.Text}");
            }
        }
    }

    /// <summary>Every route there is; the same with and without a project in the path counts once.</summary>
    private IEnumerable<string> Routes() => api.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
        .SelectMany(e => (e.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"]).Select(m => $"{m} {Pattern(e)}"))
        .Where(r => !r.Contains("/compute/v2.1/{project_id}", StringComparison.Ordinal)
            && (!r.Contains("/volume/v3/", StringComparison.Ordinal) || r.Contains("/volume/v3/{project_id}/", StringComparison.Ordinal)));

    private static string Pattern(RouteEndpoint endpoint) => "/" + endpoint.RoutePattern.RawText!.Trim('/');

    private async Task<Answer> SendAsync(string route, string persona, string? id = null, string? project = null)
    {
        var (method, pattern) = (route.Split(' ')[0], route.Split(' ')[1]);
        var (token, own) = persona switch
        {
            "member" => (Tokens.Member, Tokens.Project),
            "reader" => (Tokens.Reader, Tokens.Project),
            "nobody" => (Tokens.Nobody, Tokens.Project),
            "other" => (Tokens.OtherMember, Tokens.OtherProject),
            "admin" => (Tokens.Admin, Tokens.AdminProject),
            _ => ((string?)null, Tokens.Project),
        };
        var path = pattern.Replace("{project_id}", project ?? own, StringComparison.Ordinal);
        foreach (var (key, value) in ids.OrderByDescending(p => p.Key.Length))
        {
            path = path.Replace(key, key.StartsWith('{') ? value : key.Replace("{id}", id ?? value, StringComparison.Ordinal), StringComparison.Ordinal);
        }

        path = path.Replace("{id}", id ?? "none", StringComparison.Ordinal);
        if (pattern.StartsWith("/dashboard", StringComparison.Ordinal))
        {
            return await api.BrowseAsync(new(method), path, token, Form(route, token, id));
        }

        (string, string)[] headers = pattern.StartsWith("/volume/v3/{project_id}", StringComparison.Ordinal) ? [("OpenStack-API-Version", "volume 3.66")] : pattern.EndsWith("/auth/tokens", StringComparison.Ordinal) && method != "POST" ? [("X-Subject-Token", await SubjectAsync())] : [];
        return method is "GET" or "HEAD" or "DELETE"
            ? await api.SendAsync(new(method), path, token, null, headers)
            : await api.SendAsync(
                new(method), path, token,
                new StringContent(Body(route, id), System.Text.Encoding.UTF8, method is "PATCH" ? "application/openstack-images-v2.1-json-patch" : "application/json"), headers);
    }

    /// <summary>What a browser sends; nobody is signed out, as the others still need their sessions.</summary>
    private Dictionary<string, string>? Form(string route, string? session, string? id)
    {
        Dictionary<string, string> proof = session is null ? [] : new() { ["proof"] = SessionCookie.ProofOf(session) };
        return route switch
        {
            "POST /dashboard/sign-out" => [],
            "POST /dashboard/new" => new(proof) { ["server_id"] = id ?? ids["/servers/{id}"], ["name"] = "a" },
            _ when route.StartsWith("POST", StringComparison.Ordinal) => proof,
            _ => null,
        };
    }

    private string Body(string route, string? id) => route switch
    {
        "POST /compute/v2.1/servers/{id}/action" => """{"createImage": {"name": "a"}}""",
        "POST /runs" => JsonSerializer.Serialize(new { server_id = id ?? ids["/servers/{id}"], name = "a" }),
        "POST /volume/v3/{project_id}/snapshots" => JsonSerializer.Serialize(new { snapshot = new { volume_id = id ?? ids["/volumes/{id}"] } }),
        "POST /volume/v3/{project_id}/volumes" => JsonSerializer.Serialize(new { volume = new { snapshot_id = id ?? ids["/snapshots/{id}"] } }),
        "PUT /volume/v3/{project_id}/snapshots/{id}" => """{"snapshot": {"name": "a"}}""",
        "PUT /volume/v3/{project_id}/volumes/{id}" => """{"volume": {"name": "a"}}""",
        "POST /volume/v3/{project_id}/volumes/{id}/action" => """{"os-set_bootable": {"bootable": false}}""",
        _ when route.EndsWith("/metadata", StringComparison.Ordinal) => """{"metadata": {"colour": "red"}}""",
        _ when route.EndsWith("/metadata/{key}", StringComparison.Ordinal) => """{"meta": {"colour": "red"}}""",
        "POST /volume/v3/{project_id}/snapshots/{id}/action" => """{"os-update_snapshot_status": {"status": "creating"}}""",
        "PATCH /image/v2/images/{id}" => """[{"op": "replace", "path": "/name", "value": "a"}]""",
        "POST /image/v2/images/{id}/members" => JsonSerializer.Serialize(new { member = Guid.NewGuid() }),
        "PUT /image/v2/images/{id}/members/{member}" => """{"status": "accepted"}""",
        _ => "{}",
    };

    /// <summary>A token of the member's, to be looked at or revoked.</summary>
    private async Task<string> SubjectAsync()
    {
        var answer = await api.PostAsync("/identity/v3/auth/tokens", null, new
        {
            auth = new { identity = new { methods = new[] { "password" }, password = new { user = new { id = Tokens.Member, password = TestTokens.Password } } } },
        });
        return answer.Header("X-Subject-Token")!;
    }
}
