using SnapshotFlow.DemoGuest;

namespace SnapshotFlow.Tests.Drivers.DemoGuest;

/// <summary>What the witness calls consistent, and what not.</summary>
public sealed class WitnessTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("snapshotflow-witness-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Theory]
    [InlineData(1, 0, 0)]
    [InlineData(1, 1, 0)]
    [InlineData(1, 1, 1)]
    [InlineData(2, 1, 1)]
    [InlineData(40, 40, 39)]
    [InlineData(40, 40, 40)]
    public void Disks_of_one_moment_are_consistent(int a, int b, int c)
    {
        var report = Witness.Read(Disks(a, b, c));
        Assert.True(report.Consistent, report.Reason);
        Assert.Null(report.Reason);
        Assert.Equal([a, b, c], report.Sequences);
    }

    [Theory]
    [InlineData(0, 0, 0, "never wrote")]
    [InlineData(40, 41, 40, "disk 2 has record 41, but disk 1")]
    [InlineData(40, 40, 41, "disk 3 has record 41, but disk 2")]
    [InlineData(41, 40, 39, "differ by at most 1")]
    [InlineData(41, 41, 20, "differ by at most 1")]
    [InlineData(5, 0, 0, "differ by at most 1")]
    public void Disks_of_different_moments_are_not(int a, int b, int c, string reason)
    {
        var report = Witness.Read(Disks(a, b, c));
        Assert.False(report.Consistent);
        Assert.Contains(reason, report.Reason, StringComparison.Ordinal);
        Assert.Equal([a, b, c], report.Sequences);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(8)]
    [InlineData(19)]
    [InlineData(2000)]
    [InlineData(4095)]
    public void A_single_wrong_byte_makes_a_record_torn(int offset)
    {
        var disks = Disks(40, 40, 40);
        using (var file = System.IO.File.Open(disks[1], FileMode.Open))
        {
            file.Position = 8 * WitnessDisk.RecordBytes + offset;
            var was = file.ReadByte();
            file.Position--;
            file.WriteByte((byte)(was ^ 1));
        }

        var report = Witness.Read(disks);
        Assert.False(report.Consistent);
        Assert.Equal([40, -1, 40], report.Sequences);
        Assert.Contains("disk 2", report.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_half_written_record_is_torn()
    {
        var (before, after) = (Disks(39, 39, 39), Disks(40, 39, 39));
        var whole = System.IO.File.ReadAllBytes(after[0]);
        var torn = System.IO.File.ReadAllBytes(before[0]);
        whole.AsSpan(8 * WitnessDisk.RecordBytes, 512).CopyTo(torn.AsSpan(8 * WitnessDisk.RecordBytes));
        System.IO.File.WriteAllBytes(before[0], torn);
        Assert.Contains("torn", Witness.Read(before).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_record_that_is_missing_between_others_is_seen()
    {
        // The copy has the newest record but an older one in the middle: it read the disk while the ring went round.
        var (old, young) = (Disks(38, 38, 38), Disks(40, 40, 40));
        var mixed = System.IO.File.ReadAllBytes(old[2]);
        System.IO.File.ReadAllBytes(young[2]).AsSpan(8 * WitnessDisk.RecordBytes, WitnessDisk.RecordBytes).CopyTo(mixed.AsSpan(8 * WitnessDisk.RecordBytes));
        System.IO.File.WriteAllBytes(young[2], mixed);
        Assert.Contains("has record 40 but not record 39", Witness.Read(young).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Disks_in_the_wrong_order_are_told_apart_from_torn_ones()
    {
        var disks = Disks(40, 40, 40);
        Assert.Contains("give the disks in the order", Witness.Read([disks[1], disks[0], disks[2]]).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_disk_that_is_too_short_is_a_report()
    {
        var disks = Disks(40, 40, 40);
        System.IO.File.WriteAllText(disks[0], "short");
        Assert.Contains("shorter", Witness.Read(disks).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_cannot_be_read_is_an_exception() =>
        Assert.ThrowsAny<IOException>(() => Witness.Read([Path.Join(directory, "nowhere")]));

    [Fact]
    public void The_report_is_json()
    {
        Assert.Equal("""{"consistent":true,"sequences":[40,40,39],"reason":null}""", Witness.Read(Disks(40, 40, 39)).ToJson());
    }

    private string[] Disks(params int[] last)
    {
        var set = Directory.CreateDirectory(Path.Join(directory, Guid.NewGuid().ToString("N"))).FullName;
        var paths = last.Select((_, i) => Path.Join(set, $"disk{i + 1}")).ToArray();
        for (var i = 0; i < last.Length; i++)
        {
            using var disk = WitnessDisk.Open(paths[i], i + 1, WitnessDisk.MinBytes);
            for (var n = Math.Max(1, last[i] - 2 * WitnessDisk.Slots); n <= last[i]; n++)
            {
                disk.Write(n);
            }
        }

        return paths;
    }
}
