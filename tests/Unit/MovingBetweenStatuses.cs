using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

public sealed class MovingBetweenStatuses
{
    [Fact]
    public void Statuses_are_spelled_as_upstream_everywhere()
    {
        Assert.Equal(
            ["creating", "available", "error", "deleting", "error_deleting", "restoring", "backing-up", "updating", "unmanaging", "deleted"],
            Enum.GetValues<SnapshotStatus>().Select(s => s.ToText()));
        Assert.Equal(
            ["queued", "saving", "uploading", "importing", "active", "deactivated", "killed", "pending_delete", "deleted"],
            Enum.GetValues<ImageStatus>().Select(s => s.ToText()));
        Assert.Equal(
            ["active", "building", "paused", "suspended", "stopped", "rescued", "resized", "soft-delete", "deleted", "error", "shelved", "shelved_offloaded"],
            Enum.GetValues<VmState>().Select(s => s.ToText()));
        Assert.Equal("\"error_deleting\"", JsonSerializer.Serialize(SnapshotStatus.ErrorDeleting));
        Assert.Equal("\"backing-up\"", JsonSerializer.Serialize(SnapshotStatus.BackingUp));
    }

    [Fact]
    public void Every_spelling_reads_back_and_no_other_does()
    {
        Assert.All(Enum.GetValues<SnapshotStatus>(), s => Assert.Equal(s, EnumText.Parse<SnapshotStatus>(s.ToText())));
        Assert.All(Enum.GetValues<ErrorKind>(), k => Assert.Equal(k, EnumText.Parse<ErrorKind>(k.ToText())));
        Assert.All(Enum.GetValues<RunStatus>(), k => Assert.Equal(k, EnumText.Parse<RunStatus>(k.ToText())));
        Assert.False(EnumText.TryParse<SnapshotStatus>("Available", out _));
        Assert.False(EnumText.TryParse<SnapshotStatus>(null, out _));
        Assert.Throws<FormatException>(() => EnumText.Parse<SnapshotStatus>("no such"));
    }

    [Theory]
    [InlineData(SnapshotStatus.Creating, "available error deleted error_deleting")]
    [InlineData(SnapshotStatus.Available, "deleting unmanaging restoring backing-up updating deleted error_deleting")]
    [InlineData(SnapshotStatus.Error, "deleting deleted error_deleting")]
    [InlineData(SnapshotStatus.Deleting, "deleted available error_deleting")]
    [InlineData(SnapshotStatus.ErrorDeleting, "deleting deleted")]
    [InlineData(SnapshotStatus.Restoring, "available")]
    [InlineData(SnapshotStatus.BackingUp, "available")]
    [InlineData(SnapshotStatus.Updating, "available")]
    [InlineData(SnapshotStatus.Unmanaging, "deleted")]
    [InlineData(SnapshotStatus.Deleted, "")]
    public void A_snapshot_moves_only_where_it_may(SnapshotStatus from, string to) => Assert.Equal(
        to.Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal),
        Enum.GetValues<SnapshotStatus>().Where(s => from.MayBecome(s)).Select(s => s.ToText()).Order(StringComparer.Ordinal));

    [Theory]
    [InlineData(ImageStatus.Queued, "saving uploading importing active deleted")]
    [InlineData(ImageStatus.Saving, "active killed deleted queued")]
    [InlineData(ImageStatus.Uploading, "importing queued deleted")]
    [InlineData(ImageStatus.Importing, "active deleted queued")]
    [InlineData(ImageStatus.Active, "pending_delete deleted deactivated")]
    [InlineData(ImageStatus.Deactivated, "active pending_delete deleted")]
    [InlineData(ImageStatus.Killed, "pending_delete deleted")]
    [InlineData(ImageStatus.PendingDelete, "deleted active")]
    [InlineData(ImageStatus.Deleted, "")]
    public void An_image_moves_only_where_it_may(ImageStatus from, string to) => Assert.Equal(
        to.Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal),
        Enum.GetValues<ImageStatus>().Where(s => from.MayBecome(s)).Select(s => s.ToText()).Order(StringComparer.Ordinal));

    [Fact]
    public void What_may_become_available_is_read_off_the_same_table() => Assert.Equal(
        ["creating", "deleting", "restoring", "backing-up", "updating"], SnapshotStatuses.ThatMayBecome(SnapshotStatus.Available));

    [Theory]
    [InlineData("available", false, true)]
    [InlineData("available", true, true)]
    [InlineData("in-use", false, false)]
    [InlineData("in-use", true, true)]
    [InlineData("attaching", true, false)]
    [InlineData("reserved", true, false)]
    [InlineData("retyping", true, false)]
    [InlineData("deleting", true, false)]
    [InlineData("backing-up", true, false)]
    [InlineData("error", true, false)]
    [InlineData("maintenance", true, false)]
    [InlineData("replica_error", true, false)]
    public void Force_lets_an_attached_volume_be_cut_and_no_other(string status, bool force, bool allowed) =>
        Assert.Equal(allowed, VolumeSnapshotRules.Refusal(Volume(status), force) is null);

    [Theory]
    [InlineData(null, true)]
    [InlineData("none", true)]
    [InlineData("success", true)]
    [InlineData("error", true)]
    [InlineData("deleting", true)]
    [InlineData("migrating", false)]
    [InlineData("starting", false)]
    [InlineData("target:5f", false)]
    public void A_volume_that_migrates_is_not_cut(string? migration, bool allowed) =>
        Assert.Equal(allowed, VolumeSnapshotRules.Refusal(Volume("in-use") with { MigrationStatus = migration }, force: true) is null);

    [Fact]
    public void Of_several_reasons_the_first_in_Cinders_order_is_given()
    {
        Assert.Contains("not been scheduled", VolumeSnapshotRules.Refusal(Volume("maintenance") with { Backend = null, MigrationStatus = "migrating" }, true), StringComparison.Ordinal);
        Assert.Contains("maintenance mode", VolumeSnapshotRules.Refusal(Volume("maintenance") with { MigrationStatus = "migrating" }, true), StringComparison.Ordinal);
        Assert.Contains("migrating", VolumeSnapshotRules.Refusal(Volume("error") with { MigrationStatus = "migrating" }, true), StringComparison.Ordinal);
    }

    private static Volume Volume(string status) => new()
    {
        Id = VolumeId.New(),
        ProjectId = "p",
        UserId = "u",
        Status = status,
        SizeGib = 1,
        Backend = "host1@file",
    };
}
