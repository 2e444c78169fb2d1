using System.Collections.Frozen;
using System.Text.Json.Serialization;

namespace SnapshotFlow.Model;

/// <summary>Where an image stands. Source: Glance Image API v2, image status; stored as the spelling given here. There is no <c>error</c> for images.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ImageStatus>))]
public enum ImageStatus
{
    /// <summary>The record is there, the contents are not.</summary>
    [JsonStringEnumMemberName("queued")] Queued,

    /// <summary>Contents are being stored.</summary>
    [JsonStringEnumMemberName("saving")] Saving,

    /// <summary>Contents are being staged for import.</summary>
    [JsonStringEnumMemberName("uploading")] Uploading,

    /// <summary>Contents are being imported.</summary>
    [JsonStringEnumMemberName("importing")] Importing,

    /// <summary>Usable.</summary>
    [JsonStringEnumMemberName("active")] Active,

    /// <summary>Kept, but not to be used until an administrator says so.</summary>
    [JsonStringEnumMemberName("deactivated")] Deactivated,

    /// <summary>Storing its contents failed.</summary>
    [JsonStringEnumMemberName("killed")] Killed,

    /// <summary>Will be deleted.</summary>
    [JsonStringEnumMemberName("pending_delete")] PendingDelete,

    /// <summary>Gone; the row is kept so that a late step cannot bring it back.</summary>
    [JsonStringEnumMemberName("deleted")] Deleted,
}

/// <summary>Facts about image statuses.</summary>
public static class ImageStatuses
{
    private static readonly FrozenDictionary<ImageStatus, ImageStatus[]> Moves = new Dictionary<ImageStatus, ImageStatus[]>
    {
        [ImageStatus.Queued] = [ImageStatus.Saving, ImageStatus.Uploading, ImageStatus.Importing, ImageStatus.Active, ImageStatus.Deleted],
        [ImageStatus.Saving] = [ImageStatus.Active, ImageStatus.Killed, ImageStatus.Deleted, ImageStatus.Queued],
        [ImageStatus.Uploading] = [ImageStatus.Importing, ImageStatus.Queued, ImageStatus.Deleted],
        [ImageStatus.Importing] = [ImageStatus.Active, ImageStatus.Deleted, ImageStatus.Queued],
        [ImageStatus.Active] = [ImageStatus.PendingDelete, ImageStatus.Deleted, ImageStatus.Deactivated],
        [ImageStatus.Deactivated] = [ImageStatus.Active, ImageStatus.PendingDelete, ImageStatus.Deleted],
        [ImageStatus.Killed] = [ImageStatus.PendingDelete, ImageStatus.Deleted],
        [ImageStatus.PendingDelete] = [ImageStatus.Deleted, ImageStatus.Active],
        [ImageStatus.Deleted] = [],
    }.ToFrozenDictionary();

    /// <summary>
    /// Whether an image may go from one status to the other. Source: Glance's table of valid targets, and two moves of our own: a deactivated or killed image
    /// is <c>pending_delete</c> too while its snapshots are being deleted.
    /// </summary>
    public static bool MayBecome(this ImageStatus from, ImageStatus to) => Moves[from].Contains(to);

    /// <summary>Every status that may become <paramref name="to"/>, as stored: what a guarded update expects to find.</summary>
    public static string[] ThatMayBecome(ImageStatus to) => [.. Enum.GetValues<ImageStatus>().Where(from => from.MayBecome(to)).Select(s => s.ToText())];
}
