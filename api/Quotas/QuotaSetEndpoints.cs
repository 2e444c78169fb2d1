using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Quotas;

/// <summary>
/// The quotas of a project. Block Storage: <c>volumes</c>, <c>snapshots</c>, <c>gigabytes</c>, each of them per volume type, and <c>per_volume_gigabytes</c>. Compute: there to be read, because
/// clients do; nothing limits registered servers. Source: Cinder and Nova APIs, <c>os-quota-sets</c>.
/// </summary>
internal static class QuotaSetEndpoints
{
    private const string Member = "quota_set";
    private const int LongestProjectId = 255;

    private static readonly string[] Counted = [Quota.Volumes, Quota.Snapshots, Quota.Gigabytes];
    private static readonly string[] ComputeResources = ["instances", "cores", "ram", "key_pairs", "metadata_items", "server_groups", "server_group_members"];

    public static void MapQuotaSets(this IEndpointRouteBuilder routes)
    {
        foreach (var prefix in new[] { "/compute/v2.1", $"/compute/v2.1/{ProjectInPath.Segment}" })
        {
            var compute = routes.MapGroup($"{prefix}/os-quota-sets").RequireAuthorization().RequireOwnProjectInPath().WithMetadata(MicroversionRange.Compute);
            compute.MapGet("/{id}", (string id, HttpContext context) => ShowCompute(id, Policies.ShowComputeQuota, context));
            compute.MapGet("/{id}/defaults", (string id, HttpContext context) => ShowCompute(id, Policies.ComputeQuotaDefaults, context));
            compute.MapGet("/{id}/detail", (string id, HttpContext context) => ShowCompute(id, Policies.ComputeQuotaDetail, context, detailed: true));
            compute.MapPut("/{id}", UpdateComputeAsync);
        }

        routes.MapVolumeGroup("os-quota-sets", volume =>
        {
            volume.MapGet("/{id}", ShowAsync);
            volume.MapGet("/{id}/defaults", ShowDefaultsAsync);
            volume.MapPut("/{id}", UpdateAsync);
            volume.MapDelete("/{id}", ResetAsync);
        });
    }

    private static Ok<QuotaSetDocument> ShowCompute(string id, string rule, HttpContext context, bool detailed = false)
    {
        context.Demand(rule, PolicyTarget.Of(Project(id)));
        var set = ComputeResources.ToDictionary(r => r, object (_) => detailed ? new Usage(Quota.Unlimited, 0, 0) : Quota.Unlimited);
        set["id"] = id;
        return TypedResults.Ok(new QuotaSetDocument(set));
    }

    /// <summary>Refused: a limit that nothing enforces would be a wrong promise.</summary>
    private static async Task<Ok<QuotaSetDocument>> UpdateComputeAsync(string id, HttpContext context, CancellationToken ct)
    {
        context.Demand(Policies.UpdateComputeQuota, PolicyTarget.Of(Project(id)));
        var set = new JsonField(Member, await JsonBody.ReadAsync(context.Request, ct)).Object([Member], [])[Member].Members();
        throw Fault.BadRequest($"Quotas of {string.Join(", ", set.Keys.Order(StringComparer.Ordinal))} cannot be set: servers are registered here and not limited.");
    }

    private static async Task<Ok<QuotaSetDocument>> ShowAsync(string id, HttpContext context, QuotaStore quotas, InventoryStore inventory, TimeProvider time, CancellationToken ct)
    {
        context.Demand(Policies.ShowVolumeQuota, PolicyTarget.Of(Project(id)));
        var usage = new ListQuery(context).Switch("usage");
        var set = await LevelsAsync(id, quotas, inventory, time, l => usage ? new Usage(l.Limit, l.InUse, l.Reserved) : l.Limit, ct);
        set["id"] = id;
        return TypedResults.Ok(new QuotaSetDocument(set));
    }

    private static async Task<Ok<QuotaSetDocument>> ShowDefaultsAsync(
        string id, HttpContext context, QuotaStore quotas, InventoryStore inventory, TimeProvider time, CancellationToken ct)
    {
        context.Demand(Policies.ShowVolumeQuota, PolicyTarget.Of(Project(id)));
        var set = await LevelsAsync(id, quotas, inventory, time, l => Quota.DefaultLimit(l.Resource), ct);
        set["id"] = id;
        return TypedResults.Ok(new QuotaSetDocument(set));
    }

    /// <summary>All of the limits, or none when one of them is wrong.</summary>
    private static async Task<Ok<QuotaSetDocument>> UpdateAsync(
        string id, HttpContext context, QuotaStore quotas, InventoryStore inventory, TimeProvider time, CancellationToken ct)
    {
        context.Demand(Policies.UpdateVolumeQuota, PolicyTarget.Of(Project(id)));
        var set = new JsonField("body", await JsonBody.ReadAsync(context.Request, ct)).Object([Member], [])[Member].Members();
        var known = await ResourcesAsync(inventory, ct);
        var unknown = set.Keys.Where(k => k is not "tenant_id" and not "skip_validation" && !known.Contains(k)).Order(StringComparer.Ordinal).ToList();
        if (unknown.Count > 0)
        {
            throw Fault.BadRequest($"Bad key(s) in quota set: {string.Join(",", unknown)}");
        }

        var levels = (await quotas.LevelsAsync(id, time.GetUtcNow(), ct)).ToDictionary(l => l.Resource);
        var limits = set.Where(m => known.Contains(m.Key)).Select(m => (id, m.Key, Limit(m.Value))).ToList();
        foreach (var (_, resource, limit) in limits)
        {
            if (limit != Quota.Unlimited && levels.TryGetValue(resource, out var level) && level.InUse + level.Reserved > limit)
            {
                throw Fault.BadRequest($"Quota limit {limit} for {resource} must be greater than or equal to the {level.InUse + level.Reserved} already in use.");
            }
        }

        await inventory.RegisterAsync(new([], [], [], limits), time.GetUtcNow(), ct);
        return TypedResults.Ok(new QuotaSetDocument(await LevelsAsync(id, quotas, inventory, time, l => l.Limit, ct)));
    }

    private static async Task<Ok> ResetAsync(string id, HttpContext context, QuotaStore quotas, CancellationToken ct)
    {
        context.Demand(Policies.DeleteVolumeQuota, PolicyTarget.Of(Project(id)));
        await quotas.ResetLimitsAsync(id, ct);
        return TypedResults.Ok();
    }

    private static async Task<Dictionary<string, object>> LevelsAsync(
        string project, QuotaStore quotas, InventoryStore inventory, TimeProvider time, Func<QuotaLevel, object> shown, CancellationToken ct)
    {
        var levels = (await quotas.LevelsAsync(project, time.GetUtcNow(), ct)).ToDictionary(l => l.Resource);
        return (await ResourcesAsync(inventory, ct)).Union(levels.Keys)
            .ToDictionary(r => r, r => shown(levels.GetValueOrDefault(r) ?? new(project, r, Quota.DefaultLimit(r), 0, 0)));
    }

    private static async Task<IReadOnlyCollection<string>> ResourcesAsync(InventoryStore inventory, CancellationToken ct)
    {
        var types = await inventory.VolumeTypesAsync(all: true, ct);
        return [.. Counted, Quota.PerVolumeGigabytes, .. types.SelectMany(t => Counted.Select(r => Quota.OfType(r, t.Name)))];
    }

    /// <summary>A number, or a text that is one. Source: Cinder, quota schema.</summary>
    private static int Limit(JsonField field) =>
        (field.Value.ValueKind is JsonValueKind.Number && field.Value.TryGetInt32(out var number))
        || (field.Value.ValueKind is JsonValueKind.String && int.TryParse(field.Text(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number))
            ? number >= Quota.Unlimited ? number : throw field.Invalid($"{number} is less than the minimum of -1")
            : throw field.Invalid($"{JsonField.Represented(field.Value)} is not of type 'integer'");

    private static string Project(string id) => id.Length <= LongestProjectId && !id.Contains('\0', StringComparison.Ordinal)
        ? id
        : throw Fault.BadRequest($"A project id has at most {LongestProjectId} characters, and no U+0000.");

    private sealed record QuotaSetDocument(IReadOnlyDictionary<string, object> QuotaSet);

    private sealed record Usage(long Limit, long InUse, long Reserved);
}
