using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

/// <summary>What becomes of a server's block devices, after the worked example of Nova's own tests.</summary>
public sealed class MappingBlockDevices
{
    private static readonly ImageId Image = ImageId.New();
    private static readonly VolumeId Root = VolumeId.New();

    private static readonly BlockDevice RootDevice =
        new() { SourceType = "volume", DestinationType = "volume", VolumeId = Root, BootIndex = 0, DeviceName = "/dev/vda", VolumeSize = 20, Tag = "root", VolumeType = "fast" };

    private static readonly BlockDevice Swap = new()
    {
        SourceType = "blank",
        DestinationType = "local",
        GuestFormat = "swap",
        BootIndex = -1,
        DeviceName = "/dev/vdh",
        DeleteOnTermination = true,
    };

    [Fact]
    public void The_worked_example_keeps_what_an_image_may_keep()
    {
        var server = new Server
        {
            Id = ServerId.New(),
            ProjectId = "p",
            UserId = "u",
            Name = "web",
            VmState = VmState.Active,
            RootDeviceName = "vda",
            SystemMetadata = new Dictionary<string, string?>
            {
                ["image_min_ram"] = "11",
                ["image_min_disk"] = "22",
                ["image_container_format"] = "ami",
                ["image_disk_format"] = "ami",
                ["image_ram_disk"] = "fake_ram_disk_id",
                ["image_bdm_v2"] = "True",
                ["image_block_device_mapping"] = "[]",
                ["image_mappings"] = "[]",
                ["image_cache_in_nova"] = "True",
            },
        };
        var metadata = ImageMetadata.Build(server, "p", new Dictionary<string, string>());
        Assert.Equal((11, 22, "private"), (metadata.MinRam, metadata.MinDisk, metadata.Visibility));
        Assert.Equal(new Dictionary<string, string> { ["ram_disk"] = "fake_ram_disk_id" }, metadata.Properties.ToDictionary());
    }

    [Fact]
    public void The_entry_of_a_cut_volume_has_19_keys_and_13_of_them_are_null()
    {
        var mapping = BlockDeviceMapping.Partition(Image, [RootDevice with { VolumeSize = null }]).Mapping;
        var entry = JsonDocument.Parse(BlockDeviceMapping.Serialize(mapping)).RootElement[0];
        Assert.Equal(
            [
                "boot_index", "delete_on_termination", "destination_type", "device_name", "device_type", "disk_bus", "encrypted", "encryption_format",
                "encryption_options", "encryption_secret_uuid", "guest_format", "image_id", "no_device", "snapshot_id", "source_type", "tag", "volume_id",
                "volume_size", "volume_type",
            ],
            entry.EnumerateObject().Select(p => p.Name).Order(StringComparer.Ordinal));
        Assert.Equal(13, entry.EnumerateObject().Count(p => p.Value.ValueKind == JsonValueKind.Null));
        Assert.Equal("snapshot", entry.GetProperty("source_type").GetString());
        Assert.Equal("volume", entry.GetProperty("destination_type").GetString());
        Assert.Equal(DeterministicId.Snapshot(Image, Root).ToString(), entry.GetProperty("snapshot_id").GetString());
        Assert.Equal(0, entry.GetProperty("boot_index").GetInt32());
        Assert.Equal("/dev/vda", entry.GetProperty("device_name").GetString());
        Assert.False(entry.GetProperty("delete_on_termination").GetBoolean());
    }

    [Fact]
    public void A_carried_device_comes_first_and_says_of_itself_what_a_snapshot_leaves_open()
    {
        var mapping = BlockDeviceMapping.Partition(Image, [RootDevice, Swap]);
        Assert.Equal(["blank", "snapshot"], mapping.Mapping.Select(e => e.SourceType));
        Assert.Equal(
            new BlockDeviceEntry("blank", "local", BootIndex: -1, DeviceName: "/dev/vdh", DeleteOnTermination: true, GuestFormat: "swap", NoDevice: false, Encrypted: false),
            mapping.Mapping[0]);
        Assert.Single(mapping.Volumes);
    }

    [Fact]
    public void Three_volumes_a_swap_and_a_dropped_device_make_three_snapshots_and_four_entries()
    {
        BlockDevice Data(string name) => new() { SourceType = "volume", DestinationType = "volume", VolumeId = VolumeId.New(), DeviceName = name };
        var mapping = BlockDeviceMapping.Partition(
            Image, [Data("/dev/vdc"), RootDevice, new BlockDevice { NoDevice = true, DestinationType = "volume", DeviceName = "/dev/vdx" }, Swap, Data("vdb")]);
        Assert.Equal(["/dev/vdh", "/dev/vdc", "/dev/vda", "/dev/vdb"], mapping.Mapping.Select(e => e.DeviceName));
        Assert.Equal(["/dev/vdc", "/dev/vda", "/dev/vdb"], mapping.Volumes.Select(v => v.DeviceName));
        Assert.Equal(mapping.Volumes.Select(v => (SnapshotId?)v.Snapshot), mapping.Mapping.Skip(1).Select(e => e.SnapshotId));
    }

    [Fact]
    public void Nothing_of_the_running_server_is_carried_with_a_cut_volume()
    {
        var entry = BlockDeviceMapping.Partition(Image, [RootDevice]).Mapping[0];
        Assert.Equal((null, null, null, 20), (entry.VolumeId, entry.Tag, entry.VolumeType, entry.VolumeSize));
    }

    [Fact]
    public void A_volume_that_is_attached_twice_is_cut_once_and_named_twice()
    {
        var mapping = BlockDeviceMapping.Partition(Image, [RootDevice, RootDevice with { BootIndex = null, DeviceName = "/dev/vdb" }]);
        Assert.Single(mapping.Volumes);
        Assert.Equal([mapping.Volumes[0].Snapshot, mapping.Volumes[0].Snapshot], mapping.Mapping.Select(e => e.SnapshotId!.Value));
    }

    [Fact]
    public void The_same_devices_make_the_same_snapshots_again_and_another_image_makes_others()
    {
        Assert.Equal(BlockDeviceMapping.Partition(Image, [RootDevice]).Volumes, BlockDeviceMapping.Partition(Image, [RootDevice]).Volumes);
        Assert.NotEqual(BlockDeviceMapping.Partition(Image, [RootDevice]).Volumes, BlockDeviceMapping.Partition(ImageId.New(), [RootDevice]).Volumes);
    }

    [Fact]
    public void A_mapping_longer_than_an_image_property_holds_is_refused()
    {
        var few = Enumerable.Range(0, 90).Select(_ => BlockDeviceMapping.Cut(RootDevice, SnapshotId.New())).ToList();
        BlockDeviceMapping.RequireFits(few);
        var many = Enumerable.Range(0, 200).Select(_ => BlockDeviceMapping.Cut(RootDevice, SnapshotId.New())).ToList();
        Assert.Equal(ErrorKind.InvalidRequest, Assert.Throws<SnapshotFlowException>(() => BlockDeviceMapping.RequireFits(many)).Kind);
    }

    [Fact]
    public void A_server_is_volume_backed_by_its_root_device_or_without_one_by_naming_no_image()
    {
        var local = new BlockDevice { SourceType = "image", DestinationType = "local", BootIndex = 0 };
        var data = RootDevice with { BootIndex = null };
        Assert.True(BlockDeviceMapping.IsVolumeBacked([RootDevice], imageRef: "an image that the root volume was made from"));
        Assert.False(BlockDeviceMapping.IsVolumeBacked([data, local], imageRef: null));
        Assert.True(BlockDeviceMapping.IsVolumeBacked([data], imageRef: ""));
        Assert.True(BlockDeviceMapping.IsVolumeBacked([], imageRef: null));
        Assert.False(BlockDeviceMapping.IsVolumeBacked([data], imageRef: "an image"));
    }
}
