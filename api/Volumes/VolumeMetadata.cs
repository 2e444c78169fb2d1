using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Net.Http.Headers;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Volumes;

/// <summary>
/// The metadata of a volume, whole and key by key. From 3.15 on an answer carries an <c>ETag</c>, and a change that names one in <c>If-Match</c> is 412 when the
/// metadata is another by then. Source: Cinder API v3, volume metadata.
/// </summary>
internal sealed class VolumeMetadata(VolumeStore volumes, VolumeChanges changes)
{
    private static readonly Microversion Tagged = new(3, 15);

    public async Task<Ok<MetadataBody.Whole>> ShowAsync(string id, HttpContext context, CancellationToken ct)
    {
        var metadata = (await volumes.RequireAsync(id, context, Policies.ShowVolumeMetadata, ct)).Metadata;
        if (context.Microversion() >= Tagged)
        {
            context.Response.Headers.ETag = TagOf(metadata);
        }

        return TypedResults.Ok(new MetadataBody.Whole(metadata));
    }

    public async Task<Ok<MetadataBody.Whole>> MergeAsync(string id, HttpContext context, CancellationToken ct)
    {
        var given = await MetadataBody.WholeAsync(context, ct);
        return TypedResults.Ok(new MetadataBody.Whole(await ChangeAsync(id, context, Policies.CreateVolumeMetadata, before => before.MergedWith(given), ct)));
    }

    public async Task<Ok<MetadataBody.Whole>> ReplaceAsync(string id, HttpContext context, CancellationToken ct)
    {
        var given = await MetadataBody.WholeAsync(context, ct);
        return TypedResults.Ok(new MetadataBody.Whole(await ChangeAsync(id, context, Policies.UpdateVolumeMetadata, _ => given, ct, IfMatch(context))));
    }

    public async Task<Ok<MetadataBody.One>> ShowOneAsync(string id, string key, HttpContext context, CancellationToken ct)
    {
        var volume = await volumes.RequireAsync(id, context, Policies.ShowVolumeMetadata, ct);
        return volume.Metadata.TryGetValue(key, out var value) ? TypedResults.Ok(new MetadataBody.One(new Dictionary<string, string> { [key] = value })) : throw NoKey(volume.Id, key);
    }

    public async Task<Ok<MetadataBody.One>> SetOneAsync(string id, string key, HttpContext context, CancellationToken ct)
    {
        var given = await MetadataBody.OneAsync(key, context, ct);
        await ChangeAsync(id, context, Policies.UpdateVolumeMetadata, before => before.MergedWith(given), ct, IfMatch(context));
        return TypedResults.Ok(new MetadataBody.One(given));
    }

    public async Task<Ok> DeleteOneAsync(string id, string key, HttpContext context, CancellationToken ct)
    {
        await ChangeAsync(
            id, context, Policies.DeleteVolumeMetadata, before => before.ContainsKey(key) ? before.Without(key) : throw NoKey(VolumeId.Parse(id, null), key), ct, deletes: true);
        return TypedResults.Ok();
    }

    private async Task<IReadOnlyDictionary<string, string>> ChangeAsync(
        string id, HttpContext context, string rule, Func<IReadOnlyDictionary<string, string>, IReadOnlyDictionary<string, string>> change, CancellationToken ct,
        IList<EntityTagHeaderValue>? ifMatch = null, bool deletes = false)
    {
        var volume = await volumes.RequireAsync(id, context, rule, ct);
        var changed = await changes.ApplyAsync(
            volume.Id,
            async (session, before, now) =>
            {
                if (ifMatch is not null && !ifMatch.Any(t => t.Tag == "*" || t.Tag == TagOf(before.Metadata)))
                {
                    throw new Fault(StatusCodes.Status412PreconditionFailed, "The metadata has changed since it was read. Read it again, and change that.");
                }

                if (before.Status is VolumeStatus.Maintenance or VolumeStatus.Uploading)
                {
                    throw Fault.BadRequest($"Invalid volume: {(deletes ? "Deleting" : "Updating")} volume metadata is not allowed for volumes in {before.Status} status.");
                }

                await volumes.DescribeAsync(session, before.Id, null, null, change(before.Metadata), now);
            },
            ct);
        return changed.Metadata;
    }

    /// <summary>Null when it does not matter what the metadata was.</summary>
    private static IList<EntityTagHeaderValue>? IfMatch(HttpContext context) =>
        context.Microversion() < Tagged || context.Request.Headers.IfMatch.Count == 0 ? null
        // Clients send back what they got, with its quotes or without.
        : EntityTagHeaderValue.TryParseList(context.Request.Headers.IfMatch, out var tags) ? tags
        : [.. context.Request.Headers.IfMatch.OfType<string>().Where(t => t.All(char.IsAsciiHexDigit)).Select(t => new EntityTagHeaderValue($"\"{t}\""))];

    /// <summary>The same for the same metadata, whatever the order.</summary>
    private static string TagOf(IReadOnlyDictionary<string, string> metadata) => $"\"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        JsonSerializer.Serialize(metadata.OrderBy(m => m.Key, StringComparer.Ordinal).Select(m => new[] { m.Key, m.Value })))).AsSpan(0, 16))}\"";

    private static Fault NoKey(VolumeId id, string key) => Fault.NotFound($"Volume {id} has no metadata with key {key}.");
}
