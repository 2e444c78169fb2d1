using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

/// <summary>What a caller may say about an image, and what it inherits.</summary>
public sealed class GivingMetadata
{
    [Theory]
    [InlineData("k", "v")]
    [InlineData("a-b_c:d.e F9", "")]
    [InlineData("bdm_v2", "dropped, not refused")]
    [InlineData("cache_in_nova", "a caller may")]
    public void Good_metadata_has_no_problem(string key, string value) => Assert.Null(Problem(key, value));

    [Fact]
    public void Keys_and_values_have_255_characters_at_most()
    {
        Assert.Null(Problem(new string('k', 255), new string('v', 255)));
        Assert.NotNull(Problem(new string('k', 256), "v"));
        Assert.NotNull(Problem("k", new string('v', 256)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData("a\n")]
    [InlineData("ä")]
    [InlineData("a\u0000")]
    [InlineData("key😀")]
    public void A_key_of_other_characters_is_refused(string key) => Assert.Contains("Additional properties are not allowed", Problem(key, "v"), StringComparison.Ordinal);

    [Theory]
    [InlineData("😀")]
    [InlineData("a\u0000b")]
    public void A_value_that_the_image_service_cannot_store_is_refused(string value) => Assert.Contains("k can't contain 4 byte unicode", Problem("k", value), StringComparison.Ordinal);

    [Theory]
    [InlineData("id")]
    [InlineData("owner")]
    [InlineData("status")]
    [InlineData("visibility")]
    [InlineData("protected")]
    [InlineData("tags")]
    [InlineData("min_disk")]
    [InlineData("disk_format")]
    [InlineData("location")]
    [InlineData("locations")]
    [InlineData("deleted")]
    [InlineData("self")]
    [InlineData("direct_url")]
    [InlineData("os_glance_x")]
    [InlineData("os_glance")]
    [InlineData("instance_owner")]
    [InlineData("img_signature")]
    [InlineData("cinder_encryption_key_id")]
    [InlineData("cinder_encryption_key_deletion_policy")]
    [InlineData("snapshotflow_consistency")]
    public void A_key_that_means_something_else_is_reserved(string key) => Assert.StartsWith($"Attribute '{key}' is reserved", Problem(key, "v"), StringComparison.Ordinal);

    [Theory]
    [InlineData(125, 3, true)]
    [InlineData(126, 3, false)]
    [InlineData(126, 2, true)]
    public void An_image_has_128_properties_at_most_the_generated_ones_included(int given, int generated, bool fits)
    {
        var properties = Enumerable.Range(0, given).ToDictionary(i => $"k{i}", _ => "v");
        properties["snapshotflow_consistency"] = "ours do not count";
        properties["os_glance_stage_host"] = "nor does the image service count its own";
        var problem = Record.Exception(() => ImageMetadataRules.RequireStorable(properties, generated));
        Assert.Equal(fits, problem is null);
        if (problem is SnapshotFlowException e)
        {
            Assert.Equal(ErrorKind.InvalidRequest, e.Kind);
            Assert.Contains("Attempted: 129, Maximum: 128", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void An_inherited_value_that_cannot_be_stored_is_refused_before_anything_is_cut()
    {
        var e = Assert.Throws<SnapshotFlowException>(() => ImageMetadataRules.RequireStorable(new Dictionary<string, string> { ["os_distro"] = "😀" }, 3));
        Assert.Contains("os_distro", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_time_notes_of_the_server_are_never_published()
    {
        var metadata = Build(new()
        {
            ["network_allocated"] = "True",
            ["password_0"] = "secret",
            ["clean_attempts"] = "1",
            ["vtpm_secret_uuid"] = "x",
            ["locked_reason"] = "x",
            ["owner_user_name"] = "ada",
            ["owner_project_name"] = "lovelace",
            ["boot_roles"] = "member,reader",
            ["image_hw_disk_bus"] = "scsi",
        });
        Assert.Equal(["boot_roles", "hw_disk_bus", "owner_project_name", "owner_user_name"], metadata.Properties.Keys);
    }

    [Fact]
    public void What_belongs_to_the_original_image_alone_is_not_inherited()
    {
        var metadata = Build(new()
        {
            ["image_cache_in_nova"] = "True",
            ["image_bittorrent"] = "x",
            ["image_img_signature"] = "x",
            ["image_cinder_encryption_key_id"] = "x",
            ["image_cinder_encryption_key_deletion_policy"] = "on_image_deletion",
            ["image_os_glance_stage_host"] = "x",
            ["image_mappings"] = "[]",
            ["image_img_block_device_mapping"] = "[]",
            ["image_snapshotflow_consistency"] = "application",
            ["image_owner"] = "somebody",
            ["image_instance_owner"] = "somebody",
            ["image_disk_format"] = "qcow2",
            ["image_container_format"] = "bare",
            ["image_"] = "no name",
            ["image_os_distro"] = "debian",
            ["image_null"] = null,
        });
        Assert.Equal(["os_distro"], metadata.Properties.Keys);
    }

    [Fact]
    public void The_callers_metadata_wins_over_what_is_inherited_but_not_over_what_is_generated()
    {
        var metadata = Build(
            new() { ["image_os_distro"] = "debian", ["image_os_version"] = "12" },
            new() { ["os_distro"] = "arch", ["cache_in_nova"] = "True", ["block_device_mapping"] = "[]", ["bdm_v2"] = "False", ["root_device_name"] = "/dev/sdx" });
        Assert.Equal(
            new Dictionary<string, string> { ["cache_in_nova"] = "True", ["os_distro"] = "arch", ["os_version"] = "12" }, metadata.Properties.ToDictionary());
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("none", false)]
    [InlineData("None", false)]
    [InlineData("0f5c", true)]
    public void No_kernel_is_said_by_leaving_it_out(string kernel, bool kept) =>
        Assert.Equal(kept, Build(new() { ["image_kernel_id"] = kernel }).Properties.ContainsKey("kernel_id"));

    [Fact]
    public void An_image_is_private_to_the_servers_project_or_shared_with_it()
    {
        var own = Build([]);
        Assert.Equal(("private", "p", null), (own.Visibility, own.OwnerProjectId, own.MemberProjectId));
        var shared = ImageMetadata.Build(Server([]), "admins", new Dictionary<string, string>());
        Assert.Equal(("shared", "admins", "p"), (shared.Visibility, shared.OwnerProjectId, shared.MemberProjectId));
    }

    [Theory]
    [InlineData("20", 20)]
    [InlineData("", 0)]
    [InlineData(null, 0)]
    public void Minimums_are_numbers(string? text, int expected) => Assert.Equal(expected, Build(new() { ["image_min_disk"] = text }).MinDisk);

    [Theory]
    [InlineData("ten")]
    [InlineData("-1")]
    [InlineData("1.5")]
    [InlineData("99999999999")]
    public void A_minimum_that_is_no_number_is_an_invalid_request_and_no_crash(string text)
    {
        var e = Assert.Throws<SnapshotFlowException>(() => Build(new() { ["image_min_ram"] = text }));
        Assert.Equal(ErrorKind.InvalidRequest, e.Kind);
        Assert.Contains($"image_min_ram '{text}'", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1", true)]
    [InlineData("True", true)]
    [InlineData(" yes ", true)]
    [InlineData("on", true)]
    [InlineData("0", false)]
    [InlineData("no", false)]
    [InlineData("maybe", false)]
    [InlineData(null, false)]
    public void Quiescing_is_required_by_anything_that_reads_as_true(string? text, bool required) =>
        Assert.Equal(required, Server(new() { ["image_os_require_quiesce"] = text }).RequiresQuiesce);

    [Theory]
    [InlineData(null, "qga:unix:/run/a")]
    [InlineData("yes", "qga:unix:/run/a")]
    [InlineData("no", null)]
    public void A_guest_agent_is_where_it_is_registered_unless_the_image_says_there_is_none(string? property, string? address)
    {
        var metadata = property is null ? [] : new Dictionary<string, string?> { ["image_hw_qemu_guest_agent"] = property };
        Assert.Equal(address, (Server(metadata) with { GuestAgentAddress = "qga:unix:/run/a" }).AgentAddress);
    }

    private static string? Problem(string key, string value) => ImageMetadataRules.Problem(new Dictionary<string, string> { [key] = value });

    private static ImageMetadata Build(Dictionary<string, string?> systemMetadata, Dictionary<string, string>? metadata = null) =>
        ImageMetadata.Build(Server(systemMetadata), "p", metadata ?? []);

    private static Server Server(Dictionary<string, string?> systemMetadata) => new()
    {
        Id = ServerId.New(),
        ProjectId = "p",
        UserId = "u",
        Name = "web",
        VmState = VmState.Active,
        SystemMetadata = systemMetadata,
    };
}
