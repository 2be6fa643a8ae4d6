# Runs a formula's `install` in the folder of its archive, as Homebrew does: formula.rb FORMULA. Prints each setting with its value, and
# fails if a file to install is missing.
class Place < String
  def install(*given)
    given.flatten.each do |each|
      each = each.keys.first if each.is_a?(Hash)
      raise "#{each} is missing" unless File.exist?(each)
    end
    raise "nothing to install" if given.flatten.empty?
  end
end
class Formula
  %i[desc homepage version license depends_on url sha256].each do |name|
    define_singleton_method(name) { |value| puts "#{name} #{value}" }
  end
  %i[on_intel on_arm].each { |name| define_singleton_method(name) { |&block| puts name; block.call } }
  def self.test; end
  %i[bin man1 bash_completion zsh_completion fish_completion pkgshare doc].each { |name| define_method(name) { Place.new } }
end
load ARGV[0]
Muslin.new.install
