using System.Net;
using System.Text.Json;

namespace SnapshotFlow.Stack;

/// <summary>A run as <c>GET /runs/{id}</c> shows it; the members that demo and tests look at.</summary>
public sealed record RunView
{
    /// <summary>Name of the run, and of its image.</summary>
    public required string ImageId { get; init; }

    /// <summary>Running, or how it ended.</summary>
    public required string Status { get; init; }

    /// <summary>Whether it holds a freeze, or may hold one, right now.</summary>
    public bool Frozen { get; init; }

    /// <summary>Why it did not complete.</summary>
    public RunReason? Reason { get; init; }

    /// <summary>How consistent the image is, and why.</summary>
    public RunEvidence? Evidence { get; init; }

    /// <summary>Steps in the order they began.</summary>
    public IReadOnlyList<RunStepView> Steps { get; init; } = [];

    /// <summary>What could not be undone.</summary>
    public IReadOnlyList<JsonElement> Leftovers { get; init; } = [];

    /// <summary>Whether it is over.</summary>
    public bool HasEnded => Status != "running";

    /// <summary>Whether a step has ended without an error.</summary>
    public bool Did(string step) => Steps.Any(s => s.Step == step && s.EndedAt is not null && s.Error is null);

    /// <summary>Whether a step was begun.</summary>
    public bool Began(string step) => Steps.Any(s => s.Step == step);
}

/// <summary>Why a run was refused, failed or was cancelled.</summary>
public sealed record RunReason(string Kind, string Message);

/// <summary>One step with its times.</summary>
public sealed record RunStepView(string Step, string? VolumeId, string? Detail, DateTimeOffset StartedAt, DateTimeOffset? EndedAt, double? DurationMs, string? Error);

/// <summary>Why an image may be trusted, and how far.</summary>
public sealed record RunEvidence(string Consistency, string? Reason, DateTimeOffset? FrozenAt, DateTimeOffset? ThawedAt, double? FreezeMs, bool LeaseExpired, double? CutSkewMs, IReadOnlyList<RunCut> Cuts);

/// <summary>One volume of it.</summary>
public sealed record RunCut(string VolumeId, string SnapshotId, DateTimeOffset CutAt, double DurationMs = 0);

/// <summary>Following a run through the API.</summary>
public static class Runs
{
    private static readonly JsonSerializerOptions Format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, PropertyNameCaseInsensitive = true };

    /// <summary>The run as it is now.</summary>
    public static async Task<RunView> ShowRunAsync(this TenantClient tenant, string image, CancellationToken ct) =>
        (await tenant.GetAsync($"/runs/{image}", ct)).Expect(HttpStatusCode.OK).Body.Deserialize<RunView>(Format)!;

    /// <summary>Waits for a run to be as wanted, telling <paramref name="seen"/> of every look at it.</summary>
    public static Task<RunView> WaitForRunAsync(
        this TenantClient tenant, string image, string what, Func<RunView, bool> wanted, TimeSpan deadline, CancellationToken ct, Action<RunView>? seen = null) =>
        Wait.ForAsync($"run {image} {what}", deadline, async token =>
        {
            var run = await tenant.ShowRunAsync(image, token);
            seen?.Invoke(run);
            return wanted(run) ? run : run.HasEnded ? throw new StackException($"run {image} ended as {run.Status} ({run.Reason?.Message}) before it was seen {what}") : null;
        }, ct);

    /// <summary>Waits for the end of a run, whatever it is.</summary>
    public static Task<RunView> WaitForEndAsync(this TenantClient tenant, string image, TimeSpan deadline, CancellationToken ct, Action<RunView>? seen = null) =>
        tenant.WaitForRunAsync(image, "to end", run => run.HasEnded, deadline, ct, seen);

    /// <summary>How many snapshots of the caller's project the API shows, of any status.</summary>
    public static async Task<IReadOnlyList<(string Id, string Volume, string Status)>> ListSnapshotsAsync(this TenantClient tenant, string project, CancellationToken ct) =>
    [
        .. (await tenant.GetAsync($"/volume/v3/{project}/snapshots?limit=1000", ct)).Expect(HttpStatusCode.OK).Body.GetProperty("snapshots").EnumerateArray()
            .Select(s => (s.GetProperty("id").GetString()!, s.GetProperty("volume_id").GetString()!, s.GetProperty("status").GetString()!)),
    ];

    /// <summary>The status of an image; null when the API knows none of that id.</summary>
    public static async Task<string?> ImageStatusAsync(this TenantClient tenant, string image, CancellationToken ct)
    {
        var answer = await tenant.GetAsync($"/image/v2/images/{image}", ct);
        return answer.Status == HttpStatusCode.NotFound ? null : answer.Expect(HttpStatusCode.OK).Body.GetProperty("status").GetString();
    }
}
