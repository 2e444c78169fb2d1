using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Telemetry;

/// <summary>
/// What an operator finds who has nothing but the <c>x-openstack-request-id</c> of an answer: one line for each transition, in the logs of api, control, compute and
/// volume worker and of the guard, with every field that means something there.
/// </summary>
[Collection<TracedProduct>]
public sealed class FollowingARequest(TracedStack traced)
{
    private const string Began = "began";
    private const string Ended = "ended";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly string[] OnEveryLine = ["time", "level", "logger", "event", "message", "host", "request_id", "global_request_id", "project_id", "trace_id"];
    private static readonly string[] OnWorkersLines = ["workflow_id", "run_id"];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private DevelopmentStack Stack => traced.Stack;

    [Fact]
    public async Task Making_an_image_is_a_line_for_each_transition_with_every_field()
    {
        await using var server = await GuestServer.StartAsync(Stack, new GuestServerOptions { Name = "followed" }, Ct);
        var (request, global, answer) = await SendAsync(HttpMethod.Post, $"/compute/v2.1/servers/{server.Id}/action", new { createImage = new { name = "followed" } });
        var image = answer.Location!.Segments[^1];

        var lines = await LinesAsync(request, global, $"create-image/{image}");

        AreExactly(
            lines, $"POST /compute/v2.1/servers/{server.Id}/action answered 202", "CreateImage began", "PrepareImage", "CheckQuota", "ReserveRecords", "ProbeGuest", "Quiesce", "CreateVolumeSnapshot",
            "CreateVolumeSnapshot", "CreateVolumeSnapshot", "Unquiesce", "CopyGlanceMetadata", "CompleteSnapshots", "CreateImageRecord", "CreateImage ended completed");
        Assert.All(lines.Where(l => l["step"] is not null), l => Assert.True(l["attempt"] == "1" && l["took"] is not null && l["level"] == "info", l.Text));
        Assert.All(lines.Where(l => l.Process == "control-worker" && l["step"] is not "CopyGlanceMetadata"), l => Assert.Equal((image, server.Id.ToString()), (l["image_id"], l["server_id"])));

        var cuts = lines.Where(l => l["step"] == "CreateVolumeSnapshot").ToList();
        Assert.Equal(server.Volumes.Select(v => v.ToString()).Order(), cuts.Select(l => l["volume_id"]).Order());
        Assert.All(cuts, l => Assert.True(l is { Process: "volume-worker" } && l["host"] == Stack.Backend && l["snapshot_id"] is not null && l["size_bytes"] is not null, l.Text));
        Assert.All(lines.Where(l => l["step"] is "Quiesce" or "Unquiesce" or "ProbeGuest"), l =>
            Assert.True(l is { Process: "compute-worker" } && l["host"] == Stack.Host && l["server_id"] == server.Id.ToString(), l.Text));
        Assert.NotNull(lines.Single(l => l["step"] == "Quiesce")["deadline_at"]);
        Assert.Equal("true", lines.Single(l => l["step"] == "Unquiesce")["was_frozen"]);
        Assert.Contains(lines.Single(l => l["step"] == "CopyGlanceMetadata")["volume_id"], server.Volumes.Select(v => v.ToString()));
        await traced.Collector.WaitForAsync("the trace that the lines name", spans => spans.Any(s => s.TraceId == lines[0]["trace_id"]), Patience);
    }

    [Fact]
    public async Task A_failed_image_says_which_cut_failed_why_and_every_undo()
    {
        await using var server = await GuestServer.StartAsync(Stack, new GuestServerOptions { Name = "unlucky" }, Ct);
        await Stack.InjectAsync(Ct, new FaultRule { Operation = VolumeOperation.CreateSnapshot, Volume = server.Volumes[1], Fault = VolumeFault.Fail, Kind = ErrorKind.BackendRefused, Message = "the pool is offline" });
        var (request, global, answer) = await SendAsync(HttpMethod.Post, $"/compute/v2.1/servers/{server.Id}/action", new { createImage = new { name = "unlucky" } });

        var lines = await LinesAsync(request, global, $"create-image/{answer.Location!.Segments[^1]}");
        await Stack.InjectAsync(Ct);

        var failed = Assert.Single(lines, l => l["step"] == "CreateVolumeSnapshot" && l["level"] == "warning");
        Assert.Equal((server.Volumes[1].ToString(), "BackendRefused"), (failed["volume_id"], failed["error_type"]));
        Assert.Contains("the pool is offline", failed["reason"], StringComparison.Ordinal);
        // The other cuts are over before it, or are cancelled, or were cancelled before a worker took them.
        Assert.All(lines.Where(l => l["step"] == "CreateVolumeSnapshot").GroupBy(l => l["volume_id"]), volume => Assert.Single(volume));
        Assert.Equal(server.Volumes.Select(v => v.ToString()).Order(), lines.Where(l => l["step"] == "DeleteVolumeSnapshot").Select(l => l["volume_id"]).Order());
        foreach (var once in new[] { "PrepareImage", "CheckQuota", "ReserveRecords", "ProbeGuest", "Quiesce", "Unquiesce", "RemoveRecords", "ReleaseQuota", "ReleaseServer", "CloseRun" })
        {
            Assert.Single(lines, l => l["step"] == once);
        }

        var end = Assert.Single(lines, l => l.Transition == "CreateImage ended failed");
        Assert.Equal(("warning", "BackendRefused"), (end["level"], end["error_type"]));
        Assert.Contains("the pool is offline", end["reason"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_is_a_line_of_the_answer_and_of_the_run_that_refused()
    {
        await using var server = await GuestServer.StartAsync(Stack, new GuestServerOptions { Name = "stuck", RequireQuiesce = true, WithGuest = false }, Ct);
        var (request, global, answer) = await SendAsync(HttpMethod.Post, $"/compute/v2.1/servers/{server.Id}/action", new { createImage = new { name = "stuck" } });
        Assert.True(answer.Status is HttpStatusCode.Conflict, answer.Body.ToString());

        var lines = await LinesAsync(request, global, null);

        Assert.Single(lines, l => l.Transition == $"POST /compute/v2.1/servers/{server.Id}/action answered 409");
        Assert.Equal("QuiesceFailed", Assert.Single(lines, l => l.Transition == "CreateImage ended refused")["error_type"]);
        Assert.DoesNotContain(lines, l => l["step"] == "Quiesce");
    }

    [Fact]
    public async Task A_step_that_no_worker_answered_is_a_line_of_the_run_that_waited()
    {
        await using var server = await GuestServer.StartAsync(Stack, new GuestServerOptions { Name = "waiting" }, Ct);
        await Stack.KillWorkerAsync(WorkerRole.Volume, Ct);
        IReadOnlyList<Line> lines;
        try
        {
            // A cut has to begin within the freeze deadline.
            var (request, global, answer) = await SendAsync(HttpMethod.Post, "/runs", new { server_id = server.Id.ToString(), name = "waiting", freeze_deadline = 1 });
            await UntilAsync(request, "a cut without an answer", found => found.Any(l => l["timeout"] is not null && l["step"] == "CreateVolumeSnapshot"));
            await Stack.StartWorkerAsync(WorkerRole.Volume, Ct);
            lines = await LinesAsync(request, global, $"create-image/{answer.Body.GetProperty("image_id").GetString()}");
        }
        finally
        {
            if (Stack.Worker(WorkerRole.Volume).HasExited)
            {
                await Stack.StartWorkerAsync(WorkerRole.Volume, Ct);
            }

            await Stack.WaitForWorkersAsync(Ct);
        }

        var unanswered = lines.Where(l => l["timeout"] is not null && l["step"] == "CreateVolumeSnapshot").ToList();
        // The first one ends the step: the others may be cancelled before their time is over.
        Assert.All(unanswered.GroupBy(l => l["volume_id"]), volume => Assert.True(server.Volumes.Any(v => v.ToString() == volume.Key) && volume.Count() == 1, volume.Key));
        Assert.All(unanswered, l => Assert.True(l is { Process: "control-worker" } && l["host"] == Stack.Backend && l["level"] == "warning", l.Text));
        Assert.Single(lines, l => l["step"] == "Unquiesce");
        Assert.Single(lines, l => l.Transition == "CreateImage ended failed");
    }

    [Fact]
    public async Task A_restore_a_deletion_and_a_single_snapshot_are_followed_in_the_same_way()
    {
        await using var server = await GuestServer.StartAsync(Stack, new GuestServerOptions { Name = "kept", WithGuest = false, State = VmState.Stopped }, Ct);
        var image = await traced.Tenant.CreateImageAsync(server.Id, "kept", Ct);
        await traced.Tenant.WaitForEndAsync(image, Patience, Ct);

        var (request, global, answer) = await SendAsync(HttpMethod.Post, $"/runs/{image}/restore", new { });
        answer.Expect(HttpStatusCode.Accepted);
        var restored = await LinesAsync(request, global, $"restore-image/{answer.Body.GetProperty("operation_id").GetString()}");
        AreExactly(
            restored, $"POST /runs/{image}/restore answered 202", "RestoreImage began", "PrepareRestore", "CreateVolumeFromSnapshot", "CreateVolumeFromSnapshot", "CreateVolumeFromSnapshot", "CompleteRestore",
            "RestoreImage ended completed");
        var made = restored.Where(l => l["step"] == "CreateVolumeFromSnapshot").ToList();
        Assert.Equal(3, made.Select(l => l["volume_id"]).Distinct().Count());
        Assert.All(made, l => Assert.True(l["host"] == Stack.Backend && l["snapshot_id"] is not null, l.Text));
        foreach (var volume in made.Select(l => l["volume_id"]))
        {
            (request, global, answer) = await SendAsync(HttpMethod.Delete, $"/volume/v3/{Tokens.TenantProject}/volumes/{volume}", null);
            Assert.Equal(HttpStatusCode.Accepted, answer.Status);
            await LinesAsync(request, global, $"delete-volume/{volume}");
        }

        (request, global, answer) = await SendAsync(HttpMethod.Delete, $"/image/v2/images/{image}", null);
        Assert.Equal(HttpStatusCode.NoContent, answer.Status);
        var deleted = await LinesAsync(request, global, $"delete-image/{image}");
        AreExactly(
            deleted, $"DELETE /image/v2/images/{image} answered 204", "DeleteImage began", "BeginDeleteImage", "DeleteVolumeSnapshot", "DeleteVolumeSnapshot", "DeleteVolumeSnapshot", "EndDeleteImage",
            "DeleteImage ended completed");
        Assert.Equal(server.Volumes.Select(v => v.ToString()).Order(), deleted.Where(l => l["step"] == "DeleteVolumeSnapshot").Select(l => l["volume_id"]).Order());

        (request, global, answer) = await SendAsync(
            HttpMethod.Post, $"/volume/v3/{Tokens.TenantProject}/snapshots", new { snapshot = new { volume_id = server.Volumes[1].ToString(), name = "single", force = true } });
        var snapshot = answer.Body.GetProperty("snapshot").GetProperty("id").GetString();
        var single = await LinesAsync(request, global, $"create-snapshot/{snapshot}");
        AreExactly(
            single, $"POST /volume/v3/{Tokens.TenantProject}/snapshots answered 202", "CreateVolumeSnapshot began", "AdmitSnapshot", "CreateVolumeSnapshot", "CompleteSnapshot", "CreateVolumeSnapshot ended completed");
        Assert.All(single.Where(l => l["step"] is not null), l => Assert.Equal((server.Volumes[1].ToString(), snapshot), (l["volume_id"], l["snapshot_id"])));
        (request, global, _) = await SendAsync(HttpMethod.Delete, $"/volume/v3/{Tokens.TenantProject}/snapshots/{snapshot}", null);
        await LinesAsync(request, global, $"delete-snapshot/{snapshot}");
    }

    [Fact]
    public async Task No_line_of_any_process_holds_a_token_or_a_password_and_every_line_is_JSON()
    {
        var (request, _, answer) = await SendAsync(HttpMethod.Get, "/runs", null);
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        var refused = await traced.Tenant.PostAsync(
            "/identity/v3/auth/tokens", new { auth = new { identity = new { methods = new[] { "password" }, password = new { user = new { name = "demo", domain = new { name = "Default" }, password = "a-wrong-password" } } } } }, Ct);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.Status);
        await UntilAsync(request, "the answer's line", found => found.Count > 0);
        await UntilAsync(refused.RequestId!, "the refusal's line", found => found.Count > 0);

        string[] secrets = [Stack.Tokens.Tenant, Stack.Tokens.Other, Stack.Tokens.Admin, Stack.Accounts.Tenant.Password, Stack.Accounts.Admin.Password, "a-wrong-password"];
        foreach (var process in new[] { "api", "control-worker", "compute-worker", "volume-worker", "guard" })
        {
            var lines = await ReadAsync(process);
            Assert.NotEmpty(lines);
            Assert.All(lines, l => Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(l).RootElement.ValueKind));
            Assert.DoesNotContain(lines, l => secrets.Any(s => l.Contains(s, StringComparison.Ordinal)));
        }
    }

    private static void AreExactly(IReadOnlyList<Line> lines, params string[] transitions) =>
        Assert.Equal(transitions.Order(StringComparer.Ordinal), lines.Select(l => l.Transition).Order(StringComparer.Ordinal));

    /// <summary>Sends as the tenant, with an id of the caller's own; the ids by which the answer and its lines are known.</summary>
    private async Task<(string Request, string Global, ApiAnswer Answer)> SendAsync(HttpMethod method, string path, object? body)
    {
        var global = $"req-{Guid.NewGuid()}";
        var answer = await traced.Tenant.SendAsync(method, path, body is null ? null : JsonContent.Create(body), Ct, ("X-OpenStack-Request-ID", global));
        Assert.NotNull(answer.RequestId);
        return (answer.RequestId, global, answer);
    }

    /// <summary>Every line of a request whose run has ended, after looking at the fields that all of them have.</summary>
    private async Task<IReadOnlyList<Line>> LinesAsync(string request, string global, string? workflow)
    {
        var lines = await UntilAsync(request, "the end of the run", found => found.Any(l => l["result"] is not null) && found.Any(l => l.Process == "api"));
        var trace = lines[0]["trace_id"];
        Assert.All(lines, l =>
        {
            Assert.All(OnEveryLine, field => Assert.True(l[field] is { Length: > 0 }, $"{field} is missing: {l.Text}"));
            Assert.Equal((global, Tokens.TenantProject, trace), (l["global_request_id"], l["project_id"], l["trace_id"]));
            if (l.Process != "api")
            {
                Assert.All(OnWorkersLines, field => Assert.True(l[field] is { Length: > 0 }, $"{field} is missing: {l.Text}"));
                Assert.True(workflow is null || l["workflow_id"] == workflow, l.Text);
            }
        });
        return lines;
    }

    private Task<IReadOnlyList<Line>> UntilAsync(string request, string what, Func<IReadOnlyList<Line>, bool> wanted) => Wait.ForAsync<IReadOnlyList<Line>>($"{what} of {request} in the logs", Patience, async _ =>
    {
        List<Line> found = [];
        foreach (var process in new[] { "api", "control-worker", "compute-worker", "volume-worker", "guard" })
        {
            // A line that is being written has no end yet.
            found.AddRange((await ReadAsync(process)).Where(l => l.Contains(request, StringComparison.Ordinal) && l.EndsWith('}')).Select(l => new Line(process, l)).Where(l => l["request_id"] == request));
        }

        return wanted(found) ? found : null;
    }, Ct);

    private async Task<string[]> ReadAsync(string process)
    {
        await using var file = new FileStream(Path.Combine(Stack.State.Logs, $"{process}.log"), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var text = new StreamReader(file);
        var all = await text.ReadToEndAsync(Ct);
        return all[..(all.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>A line of a process's log.</summary>
    private sealed record Line(string Process, string Text)
    {
        private readonly JsonElement fields = JsonDocument.Parse(Text).RootElement;

        public string? this[string field] => fields.TryGetProperty(field, out var value) ? value.ValueKind is JsonValueKind.String ? value.GetString() : value.GetRawText() : null;

        /// <summary>What became what, in a few words.</summary>
        public string Transition => this["step"] ?? (this["process"] is { } process ? this["result"] is { } result ? $"{process} {Ended} {result}" : $"{process} {Began}" : this["path"] is { } path ? $"{this["method"]} {path} answered {this["status"]}" : this["message"]!);
    }
}
