using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Runs;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Api.Volumes;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Api.Snapshots;

/// <summary>The part of the Block Storage API that is about volume snapshots. Source: Cinder API v3.</summary>
internal static class SnapshotEndpoints
{
    public static IServiceCollection AddSnapshots(this IServiceCollection services) => services.AddSingleton<SnapshotChanges>().AddSingleton<SnapshotActions>();

    public static void MapSnapshots(this IEndpointRouteBuilder routes) => routes.MapVolumeGroup("snapshots", snapshots =>
    {
        snapshots.MapGet("", SnapshotLists.ListAsync);
        snapshots.MapGet("/detail", SnapshotLists.ListDetailAsync);
        snapshots.MapGet("/{id}", ShowAsync);
        snapshots.MapPost("", CreateAsync).RepeatableByKey(Policies.CreateSnapshot);
        snapshots.MapDelete("/{id}", DeleteAsync);
        snapshots.MapPut("/{id}", (string id, HttpContext context, SnapshotChanges changes, CancellationToken ct) => changes.UpdateAsync(id, context, ct));
        snapshots.MapGet("/{id}/metadata", SnapshotMetadata.ShowAsync);
        snapshots.MapPost("/{id}/metadata", SnapshotMetadata.MergeAsync);
        snapshots.MapPut("/{id}/metadata", SnapshotMetadata.ReplaceAsync);
        snapshots.MapGet("/{id}/metadata/{key}", SnapshotMetadata.ShowOneAsync);
        snapshots.MapPut("/{id}/metadata/{key}", SnapshotMetadata.SetOneAsync);
        snapshots.MapDelete("/{id}/metadata/{key}", SnapshotMetadata.DeleteOneAsync);
        snapshots.MapPost("/{id}/action", (string id, HttpContext context, SnapshotActions actions, CancellationToken ct) => actions.ActAsync(id, context, ct));
    });

    private static async Task<Ok<OneSnapshot>> ShowAsync(string id, HttpContext context, SnapshotStore store, CancellationToken ct)
    {
        var caller = context.Caller();
        var snapshot = await store.RequireAsync(id, caller, ct);
        context.Demand(Policies.ShowSnapshot, PolicyTarget.Of(snapshot.ProjectId, snapshot.UserId));
        return TypedResults.Ok(new OneSnapshot(SnapshotView.Of(snapshot, context.Microversion())));
    }

    /// <summary>The order of the checks is Cinder's: body, then volume, then what its microversion says of <c>force</c>, then whether its back end is frozen, then policy, then what only the run can know.</summary>
    private static async Task<Accepted<OneSnapshot>> CreateAsync(HttpContext context, VolumeStore volumes, ResourceRuns runs, CancellationToken ct)
    {
        var request = CreateSnapshotRequest.Parse(await JsonBody.ReadAsync(context.Request, ct));
        var key = IdempotencyKey.Of(context.Request);
        var caller = context.Caller();
        var volume = (request.Volume is { } id ? await volumes.FindReadableAsync(id, context, ct) : null)
            ?? throw Fault.NotFound($"Volume {request.Volume?.ToString() ?? "None"} could not be found.");

        var input = new CreateVolumeSnapshotInput(
            key is null ? SnapshotId.New() : DeterministicId.Snapshot(caller.ProjectId, key), volume.Id, request.Name, request.Description, request.Metadata,
            request.AllowInUse(context.Microversion()), caller, context.TraceIdentifier);
        if (volume.Frozen)
        {
            throw Fault.BadRequest(VolumeSnapshotRules.Frozen);
        }

        context.Demand(Policies.CreateSnapshot, PolicyTarget.Of(volume.ProjectId, volume.UserId));
        var snapshot = await runs.CreateSnapshotAsync(input, ct);
        return TypedResults.Accepted((string?)null, new OneSnapshot(SnapshotView.Changed(snapshot, context.Microversion())));
    }

    private static async Task<Accepted> DeleteAsync(string id, HttpContext context, SnapshotStore store, ResourceRuns runs, CancellationToken ct)
    {
        var caller = context.Caller();
        var snapshot = await store.RequireAsync(id, caller, ct);
        context.Demand(Policies.DeleteSnapshot, PolicyTarget.Of(snapshot.ProjectId, snapshot.UserId));
        await runs.DeleteSnapshotAsync(new(snapshot.Id, Force: false, caller, context.TraceIdentifier), ct);
        return TypedResults.Accepted((string?)null);
    }

    internal sealed record OneSnapshot(SnapshotView Snapshot);
}
