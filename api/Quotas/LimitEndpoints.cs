using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Quotas;

/// <summary>What a project may have and has. Source: Nova and Cinder APIs, <c>GET /limits</c>.</summary>
internal static class LimitEndpoints
{
    private const int Unlimited = -1;

    /// <summary>Nova's default of <c>metadata_items</c>, which <c>createImage</c> keeps below 2.39.</summary>
    private const int MetadataItems = 128;

    private static readonly Microversion ImageMetadataGone = new(2, 39);
    private static readonly Microversion LimitsOfOthers = new(3, 39);

    public static void MapLimits(this IEndpointRouteBuilder routes)
    {
        foreach (var prefix in new[] { "/compute/v2.1", $"/compute/v2.1/{ProjectInPath.Segment}" })
        {
            routes.MapGroup(prefix).RequireAuthorization().RequireOwnProjectInPath().WithMetadata(MicroversionRange.Compute).MapGet("/limits", ComputeAsync);
        }

        routes.MapVolumeGroup("limits", limits => limits.MapGet("", VolumeAsync));
    }

    /// <summary>Servers are registered, not created here, so nothing limits them: −1.</summary>
    private static async Task<Ok<LimitsDocument>> ComputeAsync(HttpContext context, ServerStore servers, CancellationToken ct)
    {
        context.Demand(Policies.ComputeLimits);
        var project = context.Caller().ProjectId;
        if (new ListQuery(context).Text("tenant_id") is { } other && other != project)
        {
            context.Demand(Policies.ComputeLimitsOfOthers);
            project = other;
        }

        Dictionary<string, long> absolute = new()
        {
            ["maxTotalInstances"] = Unlimited, ["maxTotalCores"] = Unlimited, ["maxTotalRAMSize"] = Unlimited, ["maxTotalKeypairs"] = Unlimited,
            ["maxServerGroups"] = Unlimited, ["maxServerGroupMembers"] = Unlimited, ["maxServerMeta"] = MetadataItems,
            ["totalInstancesUsed"] = await servers.CountAsync(project, ct), ["totalCoresUsed"] = 0, ["totalRAMUsed"] = 0, ["totalServerGroupsUsed"] = 0,
        };
        if (context.Microversion() < ImageMetadataGone)
        {
            absolute["maxImageMeta"] = MetadataItems;
        }

        return TypedResults.Ok(new LimitsDocument(new([], absolute)));
    }

    /// <summary>Backups are not served: there are none, and there is room for none.</summary>
    private static async Task<Ok<LimitsDocument>> VolumeAsync(HttpContext context, QuotaStore quotas, TimeProvider time, CancellationToken ct)
    {
        var caller = context.Caller();
        // Cinder lets everybody read limits; what is used of them has a rule of its own, which is a reader's.
        var query = new ListQuery(context);
        var project = caller.IsAdmin && context.Microversion() >= LimitsOfOthers ? query.Text("project_id") ?? query.Text("tenant_id") ?? caller.ProjectId : caller.ProjectId;
        var levels = (await quotas.LevelsAsync(project, time.GetUtcNow(), ct)).ToDictionary(l => l.Resource);
        Dictionary<string, long> absolute = new()
        {
            ["maxTotalVolumes"] = levels[Quota.Volumes].Limit, ["maxTotalSnapshots"] = levels[Quota.Snapshots].Limit,
            ["maxTotalVolumeGigabytes"] = levels[Quota.Gigabytes].Limit, ["maxTotalBackups"] = 0, ["maxTotalBackupGigabytes"] = 0,
        };
        if (context.May(Policies.UsedLimits, PolicyTarget.Of(project)))
        {
            absolute["totalVolumesUsed"] = levels[Quota.Volumes].InUse;
            absolute["totalSnapshotsUsed"] = levels[Quota.Snapshots].InUse;
            absolute["totalGigabytesUsed"] = levels[Quota.Gigabytes].InUse;
            absolute["totalBackupsUsed"] = 0;
            absolute["totalBackupGigabytesUsed"] = 0;
        }

        return TypedResults.Ok(new LimitsDocument(new([], absolute)));
    }

    private sealed record LimitsDocument(LimitsView Limits);

    private sealed record LimitsView(IReadOnlyList<string> Rate, IReadOnlyDictionary<string, long> Absolute);
}
